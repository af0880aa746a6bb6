/* Inserts the weights into the linked file. The linker sees a section of their size without bytes, so gigabytes are
 * not copied through it: the weights are written once, directly into the output. The linked file is split where
 * the bytes of the section belong; the second part moves back by whole pages, and the headers are adjusted. The
 * result has the layout that the linker would have made. */
#include <elf.h>
#include <stdio.h>
#include <string.h>

#include "link.h"

enum { HUGE_PAGE = 2 << 20 };

static uint64_t align_up(uint64_t n, uint64_t align) {
    return align ? (n + align - 1) / align * align : n;
}

/* Members of an archive begin at even offsets only: headers may be read and written anywhere. */
#define ANYWHERE __attribute__((aligned(1)))
typedef Elf32_Off Any32_Off ANYWHERE;
typedef Elf64_Off Any64_Off ANYWHERE;

static void move32(Any32_Off *at, uint64_t by) {
    *at += (Elf32_Off)by;
}

static void move64(Any64_Off *at, uint64_t by) {
    *at += by;
}

typedef Elf32_Ehdr Any32_Ehdr ANYWHERE;
typedef Elf32_Phdr Any32_Phdr ANYWHERE;
typedef Elf32_Shdr Any32_Shdr ANYWHERE;
typedef Elf64_Ehdr Any64_Ehdr ANYWHERE;
typedef Elf64_Phdr Any64_Phdr ANYWHERE;
typedef Elf64_Shdr Any64_Shdr ANYWHERE;

#define ELF(type) Any32_##type
#define CLASS(name) name##32
#include "elf_fill_class.h"
#undef ELF
#undef CLASS
#define ELF(type) Any64_##type
#define CLASS(name) name##64
#include "elf_fill_class.h"
#undef ELF
#undef CLASS

/* ---- archives: a header of text before each member; the object is the last, behind indexes ---- */

typedef struct Member {
    char name[16], date[12], owner[6], group[6], mode[8], size[10], end[2];
} Member;
static const char ARCHIVE[] = "!<arch>\n";
static const uint64_t MAX_MEMBER = 9999999999u; /* ten decimal digits */

static bool is_archive(const ElfFill *f) {
    return f->size > sizeof ARCHIVE && !memcmp(f->bytes, ARCHIVE, sizeof ARCHIVE - 1);
}

static uint64_t member_size(const Member *m) {
    uint64_t n = 0;
    for (size_t i = 0; i < sizeof m->size && m->size[i] != ' '; i++)
        n = 10 * n + (uint64_t)(m->size[i] - '0');
    return n;
}

static void find_member(ElfFill *f) {
    uint64_t at = sizeof ARCHIVE - 1, size;
    do {
        size = member_size((const Member *)(void *)(f->bytes + at));
        f->base = at + sizeof(Member);
        at = align_up(f->base + size, 2);
    } while (at < f->cut);
    f->cut = f->size = f->base + size;
}

static bool resize_member(Diag *d, const char *file, ElfFill *f) {
    Member *m = (Member *)(void *)(f->bytes + f->base - sizeof(Member));
    uint64_t size = f->size - f->base;
    char digits[sizeof m->size + 1];
    if (size > MAX_MEMBER)
        return diag_error(d, (Loc){.file = file},
                          "an archive cannot hold %llu bytes; write a .so or use --weights=file",
                          (unsigned long long)size);
    snprintf(digits, sizeof digits, "%-10llu", (unsigned long long)size);
    memcpy(m->size, digits, sizeof m->size);
    return true;
}

bool elf_fill_open(Diag *d, Arena *a, const char *file, const char *section, const char *output, ElfFill *f) {
    FileMap m;
    if (!file_map(d, file, &m)) return false;
    *f = (ElfFill){.bytes = arena_copy(a, m.data, m.size), .cut = m.size, .size = m.size};
    file_unmap(&m);
    bool archive = is_archive(f);
    if (archive) find_member(f);
    if (f->bytes[f->base + EI_CLASS] == ELFCLASS32)
        fill32(f, section);
    else
        fill64(f, section);
    return !archive || resize_member(d, output, f);
}

bool elf_fill_write(const ElfFill *f, const ArtifactSpec *s, OutFile *o) {
    uint64_t rest = f->moved ? f->size - f->moved - f->cut : 0;
    bool ok = out_write_at(o, 0, f->bytes, f->cut);
    if (f->weights) ok = ok && artifact_write_weights(s, o, (int64_t)f->weights, NULL);
    if (rest) ok = ok && out_write_at(o, (int64_t)(f->cut + f->moved), f->bytes + f->cut, rest);
    if (f->base && f->size % 2) ok = ok && out_write_at(o, (int64_t)f->size, "\n", 1);
    return ok;
}
