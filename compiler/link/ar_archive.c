/* An archive in the System V form: a symbol index ("/"), a name table if the member's name is long ("//"),
 * then the member. Dates and owners are zero, so that the same input gives the same bytes. */
#include <string.h>

#include "link.h"

enum { SHORT_NAME = 15 };
static const unsigned long long MAX_MEMBER = 9999999999ULL; /* ten decimal digits */

static void add_header(Text *t, const char *name, unsigned long long size) {
    text_add(t, "%-16s%-12d%-6d%-6d%-8s%-10llu`\n", name, 0, 0, 0, "644", size);
}

static void add_part(Text *t, const char *name, const char *bytes, size_t size) {
    add_header(t, name, size);
    text_add_n(t, bytes, size);
    if (size % 2) text_add_n(t, "\n", 1);
}

/* Everything before the member; index: one symbol and where its member starts, big-endian. */
static Text head(Arena *a, const char *member, const char *symbol, unsigned long long size,
                 size_t member_at) {
    bool is_long = strlen(member) > SHORT_NAME;
    Text t = text_new(a), index = text_new(a);
    char numbers[8] = {0, 0, 0, 1};
    for (int i = 0; i < 4; i++) numbers[4 + i] = (char)(member_at >> (24 - 8 * i));
    text_add_n(&index, numbers, sizeof numbers);
    text_add_n(&index, symbol, strlen(symbol) + 1);
    text_add_n(&t, "!<arch>\n", 8);
    add_part(&t, "/", index.s, index.n);
    char *name = arena_printf(a, "%s/\n", member);
    if (is_long) add_part(&t, "//", name, strlen(name));
    size_t at = t.n;
    add_header(&t, is_long ? "/0" : arena_printf(a, "%s/", member), size);
    return member_at == at ? t : head(a, member, symbol, size, at);
}

bool ar_archive(Arena *a, const ElfFill *object, const ArtifactSpec *s, const char *member,
                const char *symbol, OutFile *o) {
    if (object->size > MAX_MEMBER)
        return diag_error(o->diag, (Loc){.file = o->name},
                          "an archive cannot hold %llu bytes; write a .so or use --weights=file",
                          (unsigned long long)object->size);
    Text t = head(a, member, symbol, object->size, 0);
    int64_t end = (int64_t)(t.n + object->size);
    return out_write_at(o, 0, t.s, t.n) && elf_fill_write(object, s, o, (int64_t)t.n) &&
           (end % 2 == 0 || out_write_at(o, end, "\n", 1));
}
