/* Makes the symbols of a finished relocatable object local, in place. `ld -r` keeps hidden symbols global,
 * and two artefacts in one program would then clash on btc_entry_step and every runtime function.
 *
 * Local symbols must stand before global ones, so the symbol table is sorted anew and the symbol numbers in
 * all relocation tables and section groups are translated. The new name goes to a new string table at the
 * end of the file. Only these tables are read and written; gigabytes of weights stay untouched. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "link.h"

enum { SHT_LLVM_ADDRSIG_TYPE = 0x6fff4c03 }; /* <elf.h> lacks it */

typedef struct File {
    Diag *diag;
    Arena *arena;
    const char *name;
    int fd;
} File;

static bool get(const File *f, void *to, size_t n, uint64_t at) {
    char *p = to;
    while (n > 0) {
        ssize_t got = pread(f->fd, p, n, (off_t)at);
        if (got <= 0) return diag_error(f->diag, (Loc){.file = f->name}, "cannot read back the object");
        p += got, n -= (size_t)got, at += (uint64_t)got;
    }
    return true;
}

static bool put(const File *f, const void *from, size_t n, uint64_t at) {
    const char *p = from;
    while (n > 0) {
        ssize_t done = pwrite(f->fd, p, n, (off_t)at);
        if (done <= 0)
            return diag_error(f->diag, (Loc){.file = f->name}, "cannot write: %s", strerror(errno));
        p += done, n -= (size_t)done, at += (uint64_t)done;
    }
    return true;
}

static void *load(const File *f, const Elf64_Shdr *s) {
    char *p = arena_alloc(f->arena, (size_t)s->sh_size + 1);
    return get(f, p, (size_t)s->sh_size, s->sh_offset) ? p : NULL;
}

/* Symbols in their new order; map [n] translates old numbers. Returns the number of local ones. */
static uint32_t sort_symbols(Elf64_Sym *sym, size_t n, const char *names, const char *keep, Arena *a,
                             uint32_t *map, size_t *kept) {
    Elf64_Sym *sorted = ARENA_ARRAY(a, Elf64_Sym, n);
    uint32_t next = 0, locals = 0;
    for (int global = 0; global < 2; global++) {
        for (size_t i = 0; i < n; i++) {
            Elf64_Sym s = sym[i];
            bool is_kept = strcmp(names + s.st_name, keep) == 0 && s.st_shndx != SHN_UNDEF;
            bool undefined = s.st_shndx == SHN_UNDEF && ELF64_ST_BIND(s.st_info) != STB_LOCAL;
            if ((is_kept || undefined) != (global == 1)) continue;
            if (is_kept) *kept = next;
            if (!global) {
                s.st_info = (unsigned char)ELF64_ST_INFO(STB_LOCAL, ELF64_ST_TYPE(s.st_info));
                s.st_other = STV_DEFAULT;
            }
            map[i] = next;
            sorted[next++] = s;
        }
        if (!global) locals = next;
    }
    memcpy(sym, sorted, n * sizeof *sym);
    return locals;
}

static bool translate_relocs(const File *f, const Elf64_Shdr *s, const uint32_t *map) {
    Elf64_Rela *r = load(f, s);
    if (!r) return false;
    for (size_t i = 0; i < s->sh_size / sizeof *r; i++)
        r[i].r_info = ELF64_R_INFO((uint64_t)map[ELF64_R_SYM(r[i].r_info)], ELF64_R_TYPE(r[i].r_info));
    return put(f, r, (size_t)s->sh_size, s->sh_offset);
}

static bool localise(const File *f, const char *keep, const char *name) {
    Elf64_Ehdr h;
    if (!get(f, &h, sizeof h, 0)) return false;
    Elf64_Shdr table = {.sh_offset = h.e_shoff, .sh_size = (uint64_t)h.e_shnum * sizeof(Elf64_Shdr)};
    Elf64_Shdr *sections = load(f, &table), *symtab = NULL;
    if (!sections) return false;
    for (int i = 0; i < h.e_shnum; i++)
        if (sections[i].sh_type == SHT_SYMTAB) symtab = &sections[i];
    if (!symtab || h.e_shnum == 0) BTC_BUG("%s: an object without symbols", f->name);
    Elf64_Shdr *strtab = &sections[symtab->sh_link];
    Elf64_Sym *sym = load(f, symtab);
    char *names = load(f, strtab);
    if (!sym || !names) return false;

    size_t n = symtab->sh_size / sizeof *sym, kept = n;
    uint32_t *map = ARENA_ARRAY(f->arena, uint32_t, n);
    symtab->sh_info = sort_symbols(sym, n, names, keep, f->arena, map, &kept);
    if (kept == n) BTC_BUG("%s: no symbol %s", f->name, keep);
    for (int i = 0; i < h.e_shnum; i++) {
        Elf64_Shdr *s = &sections[i];
        if (s->sh_type == SHT_RELA && !translate_relocs(f, s, map)) return false;
        if (s->sh_type == SHT_GROUP) s->sh_info = map[s->sh_info];
        if (s->sh_type == SHT_LLVM_ADDRSIG_TYPE) s->sh_type = SHT_NULL; /* a hint by symbol numbers */
        if (s->sh_type == SHT_SYMTAB_SHNDX || s->sh_type == SHT_REL)
            BTC_BUG("%s: section type %#x refers to symbols", f->name, s->sh_type);
    }

    /* The string table with the new name at its end moves behind everything else. */
    sym[kept].st_name = (Elf64_Word)strtab->sh_size;
    off_t end = lseek(f->fd, 0, SEEK_END);
    if (!put(f, names, (size_t)strtab->sh_size, (uint64_t)end) ||
        !put(f, name, strlen(name) + 1, (uint64_t)end + strtab->sh_size))
        return false;
    strtab->sh_offset = (uint64_t)end;
    strtab->sh_size += strlen(name) + 1;
    return put(f, sym, (size_t)symtab->sh_size, symtab->sh_offset) &&
           put(f, sections, (size_t)table.sh_size, h.e_shoff);
}

bool elf_localise(Diag *d, Arena *a, const char *file, const char *keep, const char *name) {
    File f = {.diag = d, .arena = a, .name = file, .fd = open(file, O_RDWR | O_CLOEXEC)};
    if (f.fd < 0) return diag_error(d, (Loc){.file = file}, "cannot open: %s", strerror(errno));
    bool ok = localise(&f, keep, name);
    if (close(f.fd) != 0 && ok) ok = diag_error(d, (Loc){.file = file}, "cannot write: %s", strerror(errno));
    return ok;
}
