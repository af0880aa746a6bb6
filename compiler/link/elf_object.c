#include "elf_object.h"

#include <string.h>

uint16_t elf_machine(const char *target) {
    if (strncmp(target, "x86_64", 6) == 0) return EM_X86_64;
    if (strncmp(target, "aarch64", 7) == 0) return EM_AARCH64;
    return 0;
}

const char *elf_weights_section(uint16_t machine) {
    return machine == EM_X86_64 ? ".lrodata"
                                : ".weights"; /* the linker knows the first and puts it far away */
}

ElfObject elf_new(Arena *a, uint16_t machine, uint16_t type) {
    return (ElfObject){.arena = a, .machine = machine, .type = type};
}

int elf_section(ElfObject *e, const char *name, uint32_t type, uint64_t flags, uint64_t align) {
    ElfSection s = {.name = name, .type = type, .flags = flags, .align = align, .bytes = text_new(e->arena)};
    ARENA_PUSH(e->arena, e->sections, e->nsections, e->cap_sections, s);
    return e->nsections - 1;
}

int elf_section_empty(ElfObject *e, const char *name, uint64_t flags, uint64_t align, uint64_t size) {
    int s = elf_section(e, name, SHT_NOBITS, flags, align);
    e->sections[s].size = size;
    return s;
}

int elf_symbol(ElfObject *e, const char *name, int section, uint64_t value, uint64_t size, int type,
               int visibility) {
    ElfSymbol s = {.name = name, .section = section, .value = value, .size = size};
    s.info = (unsigned char)ELF64_ST_INFO(STB_GLOBAL, type);
    s.other = (unsigned char)visibility;
    ARENA_PUSH(e->arena, e->symbols, e->nsymbols, e->cap_symbols, s);
    return e->nsymbols - 1;
}

uint64_t elf_end(const ElfObject *e, int section) {
    const ElfSection *s = &e->sections[section];
    return s->type == SHT_NOBITS ? s->size : s->bytes.n;
}

uint64_t elf_add(ElfObject *e, int section, const void *data, size_t n) {
    uint64_t at = elf_end(e, section);
    if (n) text_add_n(&e->sections[section].bytes, data, n);
    return at;
}

uint64_t elf_add_word(ElfObject *e, int section, uint64_t word) {
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(word >> 8 * i);
    return elf_add(e, section, bytes, 8);
}

uint64_t elf_add_address(ElfObject *e, int section, int symbol, uint64_t addend) {
    /* The addend lies in the section until the relocation table is made (elf_write), then moves there. */
    uint64_t at = elf_add_word(e, section, addend);
    ElfSection *s = &e->sections[section];
    ElfReloc r = {at, symbol};
    ARENA_PUSH(e->arena, s->relocs, s->nrelocs, s->cap_relocs, r);
    return at;
}

static void add_struct(Text *t, const void *data, size_t n) {
    text_add_n(t, data, n);
}

/* The name's offset in a string table, which starts with an empty name. */
static uint32_t add_name(Text *names, const char *name) {
    if (names->n == 0) text_add_n(names, "", 1);
    if (!*name) return 0;
    uint32_t at = (uint32_t)names->n;
    text_add_n(names, name, strlen(name) + 1);
    return at;
}

/* Symbol and string table. File index of section i is i + 1; symbol i is entry i + 1. */
static void add_symbol_tables(ElfObject *e, bool dynamic) {
    int table = elf_section(e, dynamic ? ".dynsym" : ".symtab", dynamic ? SHT_DYNSYM : SHT_SYMTAB,
                            dynamic ? SHF_ALLOC : 0, 8);
    int names = elf_section(e, dynamic ? ".dynstr" : ".strtab", SHT_STRTAB, dynamic ? SHF_ALLOC : 0, 1);
    Text *t = &e->sections[table].bytes, *n = &e->sections[names].bytes;
    add_struct(t, &(Elf64_Sym){0}, sizeof(Elf64_Sym));
    add_name(n, "");
    for (int i = 0; i < e->nsymbols; i++) {
        const ElfSymbol *s = &e->symbols[i];
        Elf64_Sym sym = {.st_name = add_name(n, s->name), .st_info = s->info, .st_other = s->other};
        sym.st_shndx = s->section == ELF_UNDEFINED ? SHN_UNDEF : (uint16_t)(s->section + 1);
        sym.st_value = s->value, sym.st_size = s->size;
        add_struct(t, &sym, sizeof sym);
    }
    ElfSection *st = &e->sections[table];
    st->link = (uint32_t)names + 1, st->info = 1, st->entry = sizeof(Elf64_Sym);
}

static void add_reloc_tables(ElfObject *e) {
    int n = e->nsections, symtab = 0;
    for (int i = 0; i < n; i++)
        if (e->sections[i].type == SHT_SYMTAB) symtab = i;
    for (int i = 0; i < n; i++) {
        if (e->sections[i].nrelocs == 0) continue;
        int r = elf_section(e, arena_printf(e->arena, ".rela%s", e->sections[i].name), SHT_RELA,
                            SHF_INFO_LINK, 8);
        ElfSection *of = &e->sections[i], *table = &e->sections[r];
        table->link = (uint32_t)symtab + 1, table->info = (uint32_t)i + 1;
        table->entry = sizeof(Elf64_Rela);
        uint64_t type = e->machine == EM_X86_64 ? R_X86_64_64 : R_AARCH64_ABS64;
        for (int k = 0; k < of->nrelocs; k++) {
            Elf64_Rela rela = {.r_offset = of->relocs[k].offset};
            rela.r_info = ELF64_R_INFO((uint64_t)of->relocs[k].symbol + 1, type);
            char *word = of->bytes.s + of->relocs[k].offset;
            memcpy(&rela.r_addend, word, 8);
            memset(word, 0, 8);
            add_struct(&table->bytes, &rela, sizeof rela);
        }
    }
}

static bool write_zeros(OutFile *o, uint64_t n) {
    static const char zeros[4096];
    for (; n > sizeof zeros; n -= sizeof zeros)
        if (!out_write(o, zeros, sizeof zeros)) return false;
    return out_write(o, zeros, (size_t)n);
}

static uint64_t align_up(uint64_t n, uint64_t align) {
    return align ? (n + align - 1) / align * align : n;
}

/* Section headers with file offsets; e_shoff is where they go. */
static Text layout(const ElfObject *e, Text *names, uint64_t *shoff) {
    Text headers = text_new(e->arena);
    add_struct(&headers, &(Elf64_Shdr){0}, sizeof(Elf64_Shdr));
    uint64_t at = sizeof(Elf64_Ehdr);
    for (int i = 0; i < e->nsections; i++) {
        const ElfSection *s = &e->sections[i];
        at = align_up(at, s->align);
        Elf64_Shdr h = {.sh_name = add_name(names, s->name), .sh_type = s->type, .sh_flags = s->flags};
        h.sh_offset = at, h.sh_size = elf_end(e, i), h.sh_addralign = s->align;
        h.sh_link = s->link, h.sh_info = s->info, h.sh_entsize = s->entry;
        if (e->type == ET_DYN && s->flags & SHF_ALLOC) h.sh_addr = at;
        add_struct(&headers, &h, sizeof h);
        if (s->type != SHT_NOBITS) at += h.sh_size;
    }
    *shoff = align_up(at, 8);
    return headers;
}

bool elf_write(ElfObject *e, OutFile *o) {
    if (e->type == ET_REL) {
        elf_section(e, ".note.GNU-stack", SHT_PROGBITS, 0, 1); /* no executable stack */
        add_symbol_tables(e, false);
        add_reloc_tables(e);
    } else {
        add_symbol_tables(e, true);
        for (int i = 0; i < e->nsections; i++) /* .dynamic names its strings */
            if (e->sections[i].type == SHT_DYNAMIC) e->sections[i].link = (uint32_t)e->nsections;
    }
    int names = elf_section(e, ".shstrtab", SHT_STRTAB, 0, 1);
    Text table = text_new(e->arena), *n = &e->sections[names].bytes;
    for (int i = 0; i < e->nsections; i++) add_name(n, e->sections[i].name); /* its size must be known */
    uint64_t shoff;
    Text headers = layout(e, &table, &shoff);

    Elf64_Ehdr h = {.e_type = e->type, .e_machine = e->machine, .e_version = EV_CURRENT, .e_shoff = shoff};
    memcpy(h.e_ident, ELFMAG, SELFMAG);
    h.e_ident[EI_CLASS] = ELFCLASS64, h.e_ident[EI_DATA] = ELFDATA2LSB, h.e_ident[EI_VERSION] = EV_CURRENT;
    h.e_ehsize = sizeof h, h.e_shentsize = sizeof(Elf64_Shdr);
    h.e_shnum = (uint16_t)(e->nsections + 1), h.e_shstrndx = (uint16_t)(names + 1);
    if (!out_write(o, &h, sizeof h)) return false;
    uint64_t at = sizeof h;
    for (int i = 0; i < e->nsections; i++) {
        const ElfSection *s = &e->sections[i];
        uint64_t start = align_up(at, s->align);
        if (!write_zeros(o, start - at) || !out_write(o, s->bytes.s, s->bytes.n)) return false;
        at = start + s->bytes.n;
    }
    return write_zeros(o, shoff - at) && out_write(o, headers.s, headers.n);
}
