/* Puts the weights into what the linker has made. The linker sees them as a section of their size without
 * bytes, so gigabytes are not copied through it: they are written once, straight into the output. Where the
 * section's bytes belong, the linked file is cut in two; its second part moves back by whole pages, and the
 * headers are told. The result is laid out as if the linker had done it. */
#include <string.h>

#include "link.h"

enum { HUGE_PAGE = 2 << 20 };

static uint64_t align_up(uint64_t n, uint64_t align) {
    return align ? (n + align - 1) / align * align : n;
}

static Elf64_Shdr *weights_section(const ElfFill *f) {
    const Elf64_Ehdr *h = (const Elf64_Ehdr *)(void *)f->bytes;
    Elf64_Shdr *s = (Elf64_Shdr *)(void *)(f->bytes + h->e_shoff);
    const char *names = f->bytes + s[h->e_shstrndx].sh_offset;
    for (int i = 1; i < h->e_shnum; i++)
        if (s[i].sh_type == SHT_NOBITS && !strcmp(names + s[i].sh_name, elf_weights_section(h->e_machine)))
            return &s[i];
    return NULL;
}

/* Objects have no addresses: the bytes go to the end. */
static void fill_object(ElfFill *f, Elf64_Shdr *w) {
    f->weights = align_up(f->cut, w->sh_addralign);
    f->size = f->weights + w->sh_size;
}

/* Where the segment's bytes end in the file, those of the weights come; the rest moves behind them. */
static void fill_linked(ElfFill *f, Elf64_Shdr *w) {
    Elf64_Ehdr *h = (Elf64_Ehdr *)(void *)f->bytes;
    Elf64_Phdr *p = (Elf64_Phdr *)(void *)(f->bytes + h->e_phoff), *of = NULL;
    uint64_t page = 1;
    for (int i = 0; i < h->e_phnum; i++) {
        if (p[i].p_type != PT_LOAD) continue;
        if (w->sh_addr >= p[i].p_vaddr && w->sh_addr < p[i].p_vaddr + p[i].p_memsz) of = &p[i];
        if (p[i].p_align > page) page = p[i].p_align;
    }
    if (!of || w->sh_addr + w->sh_size != of->p_vaddr + of->p_memsz)
        BTC_BUG("weights do not end their segment");
    f->cut = of->p_offset + of->p_filesz;
    f->weights = of->p_offset + (w->sh_addr - of->p_vaddr);
    f->moved = align_up(f->weights + w->sh_size - f->cut, page);
    f->size += f->moved;
    of->p_filesz = of->p_memsz;
    /* Aligned so in memory, a file that the system caches in huge pages is mapped by them. */
    if (w->sh_size >= HUGE_PAGE && (of->p_vaddr - of->p_offset) % HUGE_PAGE == 0) of->p_align = HUGE_PAGE;
    for (int i = 0; i < h->e_phnum; i++)
        if (&p[i] != of && p[i].p_offset >= f->cut) p[i].p_offset += f->moved;
    Elf64_Shdr *s = (Elf64_Shdr *)(void *)(f->bytes + h->e_shoff);
    for (int i = 1; i < h->e_shnum; i++)
        if (s[i].sh_offset >= f->cut) s[i].sh_offset += f->moved;
    if (h->e_shoff >= f->cut) h->e_shoff += f->moved;
}

bool elf_fill_open(Diag *d, Arena *a, const char *file, ElfFill *f) {
    FileMap m;
    if (!file_map(d, file, &m)) return false;
    *f = (ElfFill){.bytes = arena_copy(a, m.data, m.size), .cut = m.size, .size = m.size};
    file_unmap(&m);
    Elf64_Shdr *w = weights_section(f);
    if (!w) return true;
    if (((const Elf64_Ehdr *)(void *)f->bytes)->e_type == ET_REL)
        fill_object(f, w);
    else
        fill_linked(f, w);
    w->sh_type = SHT_PROGBITS, w->sh_offset = f->weights;
    return true;
}

bool elf_fill_write(const ElfFill *f, const ArtifactSpec *s, OutFile *o, int64_t at) {
    uint64_t rest = f->size - f->moved - f->cut;
    if (!f->weights) return out_write_at(o, at, f->bytes, f->size);
    if (!f->moved) rest = 0;
    return out_write_at(o, at, f->bytes, f->cut) &&
           artifact_write_weights(s, o, at + (int64_t)f->weights, NULL) &&
           out_write_at(o, at + (int64_t)(f->cut + f->moved), f->bytes + f->cut, rest);
}
