/* A small writer of ELF64 little-endian files: relocatable objects and the stub libraries that are linked
 * against. Weights are not among its bytes: they are a section that takes no room in the file (SHT_NOBITS)
 * until elf_fill.c puts them into what the linker has made. */
#ifndef BTC_LINK_ELF_OBJECT_H
#define BTC_LINK_ELF_OBJECT_H

#include <elf.h>

#include "base/file.h"

/* x86-64: sections beyond 2 GiB of everything else; the linker puts them last. <elf.h> lacks it. */
#define ELF_X86_64_LARGE 0x10000000u

typedef struct ElfReloc {
    uint64_t offset;
    int symbol;
} ElfReloc;

typedef struct ElfSection {
    const char *name;
    uint32_t type;  /* SHT_... */
    uint64_t flags; /* SHF_... */
    uint64_t align;
    Text bytes;
    uint64_t size;    /* of SHT_NOBITS, which has no bytes */
    ElfReloc *relocs; /* 64-bit addresses of symbols, already in order */
    int nrelocs, cap_relocs;
    uint32_t link, info; /* indices in the file, for tables */
    uint64_t entry;
} ElfSection;

typedef struct ElfSymbol {
    const char *name;
    int section; /* of this writer; ELF_UNDEFINED: elsewhere */
    uint64_t value, size;
    unsigned char info, other;
} ElfSymbol;
enum { ELF_UNDEFINED = -1 };

typedef struct ElfObject {
    Arena *arena;
    uint16_t machine; /* EM_X86_64, EM_AARCH64 */
    uint16_t type;    /* ET_REL or ET_DYN */
    ElfSection *sections;
    int nsections, cap_sections;
    ElfSymbol *symbols; /* all global */
    int nsymbols, cap_symbols;
} ElfObject;

/* The section that is kept free for weights. */
const char *elf_weights_section(uint16_t machine);
/* EM_... of a target name or triple; 0: not one that we can link for. */
uint16_t elf_machine(const char *target);

ElfObject elf_new(Arena *a, uint16_t machine, uint16_t type);
/* Sections and symbols are named by the number returned. */
int elf_section(ElfObject *e, const char *name, uint32_t type, uint64_t flags, uint64_t align);
int elf_section_empty(ElfObject *e, const char *name, uint64_t flags, uint64_t align, uint64_t size);
int elf_symbol(ElfObject *e, const char *name, int section, uint64_t value, uint64_t size, int type,
               int visibility);
/* Add to the end of a section; return the offset at which it starts. */
uint64_t elf_add(ElfObject *e, int section, const void *data, size_t n);
uint64_t elf_add_word(ElfObject *e, int section, uint64_t word);
uint64_t elf_add_address(ElfObject *e, int section, int symbol, uint64_t addend);
uint64_t elf_end(const ElfObject *e, int section); /* its size so far */

/* The object as a file. For ET_DYN, elf_stub_library in stub_library.c adds what the dynamic tables need. */
bool elf_write(ElfObject *e, OutFile *o);

#endif
