/* An archive in the System V form: a symbol index ("/"), a name table if the member's name is long ("//"),
 * then the member. Dates and owners are zero, so that the same input gives the same bytes. */
#include <string.h>

#include "link.h"

enum { SHORT_NAME = 15 };
static const unsigned long long MAX_MEMBER = 9999999999ULL; /* ten decimal digits */

static bool write_header(OutFile *o, const char *name, unsigned long long size) {
    char h[61];
    int n = snprintf(h, sizeof h, "%-16s%-12d%-6d%-6d%-8s%-10llu`\n", name, 0, 0, 0, "644", size);
    return n == 60 && out_write(o, h, 60);
}

static bool pad_even(OutFile *o, size_t n) {
    return n % 2 == 0 || out_write(o, "\n", 1);
}

bool ar_archive(Diag *d, Arena *a, const char *object, const char *member, const char *symbol, OutFile *o) {
    FileMap m;
    if (!file_map(d, object, &m)) return false;
    if (m.size > MAX_MEMBER) {
        file_unmap(&m);
        return diag_error(d, (Loc){.file = o->name},
                          "an archive cannot hold %zu bytes; write a .so or use --weights=file", m.size);
    }
    bool is_long = strlen(member) > SHORT_NAME;
    char *table = arena_printf(a, "%s/\n", member);
    size_t table_size = is_long ? strlen(table) : 0, index_size = 8 + strlen(symbol) + 1;
    size_t at = 8 + 60 + index_size + index_size % 2;
    if (is_long) at += 60 + table_size + table_size % 2;

    unsigned char index[8] = {0, 0, 0, 1}; /* one symbol; then where its member starts, big-endian */
    for (int i = 0; i < 4; i++) index[4 + i] = (unsigned char)(at >> (24 - 8 * i));
    bool ok = out_write(o, "!<arch>\n", 8) && write_header(o, "/", index_size) && out_write(o, index, 8) &&
              out_write(o, symbol, strlen(symbol) + 1) && pad_even(o, index_size);
    if (is_long)
        ok = ok && write_header(o, "//", table_size) && out_write(o, table, table_size) &&
             pad_even(o, table_size);
    ok = ok && write_header(o, is_long ? "/0" : arena_printf(a, "%s/", member), m.size) &&
         out_write(o, m.data, m.size) && pad_even(o, m.size);
    file_unmap(&m);
    return ok;
}
