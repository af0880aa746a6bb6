#include "stub_library.h"

#include <string.h>

#include "elf_object.h"

typedef struct Row {
    const char *soname; /* starts a library, or NULL */
    const char *symbol;
    int type;
} Row;

static const Row rows[] = {
#define LIBRARY(id, soname) {soname, NULL, 0},
#define FUNC STT_FUNC
#define DATA STT_OBJECT
#define SYMBOL(name, kind, user) {NULL, #name, kind},
#include "runtime/libc_symbols.def"
#undef LIBRARY
#undef SYMBOL
#undef FUNC
#undef DATA
};
enum { ROWS = sizeof rows / sizeof *rows };

/* Row `at` names the library; its symbols follow. */
static bool write_stub(Diag *d, Arena *a, const char *file, uint16_t machine, int at) {
    ElfObject e = elf_new(a, machine, ET_DYN);
    int text = elf_section(&e, ".text", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, 16);
    elf_add_word(&e, text, 0);
    int dynamic = elf_section(&e, ".dynamic", SHT_DYNAMIC, SHF_ALLOC | SHF_WRITE, 8);
    e.sections[dynamic].entry = sizeof(Elf64_Dyn);
    /* elf_write's string table holds the symbols' names in order, after the empty name. */
    uint64_t soname_at = 1;
    int end = at + 1;
    for (; end < ROWS && !rows[end].soname; end++) {
        elf_symbol(&e, rows[end].symbol, text, 0, 8, rows[end].type, STV_DEFAULT);
        soname_at += strlen(rows[end].symbol) + 1;
    }
    /* The soname is a symbol of the stub too: that puts it into the string table, and nobody asks for it. */
    elf_symbol(&e, rows[at].soname, text, 0, 0, STT_NOTYPE, STV_DEFAULT);
    elf_add_word(&e, dynamic, DT_SONAME);
    elf_add_word(&e, dynamic, soname_at);
    elf_add_word(&e, dynamic, DT_NULL);
    elf_add_word(&e, dynamic, 0);

    OutFile o;
    if (!out_open(d, a, file, &o)) return false;
    if (elf_write(&e, &o)) return out_commit(&o, false);
    out_abandon(&o);
    return false;
}

bool stub_libraries(Diag *d, Arena *a, const char *folder, uint16_t machine, const char ***names, int *n) {
    int cap = 0;
    *names = NULL, *n = 0;
    for (int i = 0; i < ROWS; i++) {
        if (!rows[i].soname) continue;
        const char *name = arena_printf(a, "%s/%s", folder, rows[i].soname);
        ARENA_PUSH(a, *names, *n, cap, name);
        if (!write_stub(d, a, name, machine, i)) return false;
    }
    return true;
}
