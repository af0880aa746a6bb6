/* The lower half of parse.c: characters, words, literals, types and attributes of the textual IR. Each function skips
 * blanks, reads one item and leaves `p` behind it; false: a message with line and column has been filed. accept_*
 * leave everything unchanged when they fail. */
#ifndef BTC_READER_H
#define BTC_READER_H

#include "ir.h"

typedef struct Reader {
    Diag *d;
    Arena *a;
    const char *file, *p, *line_start;
    int line;
} Reader;

Loc read_here(const Reader *s);
bool read_fail(Reader *s, const char *what); /* files `what` at this place; false */

void read_blanks(Reader *s);
void read_lines(Reader *s); /* blanks, comments and ends of lines: to the next statement */
/* The end of a statement; a comment that starts with $ is handed out as the place in the description. */
bool read_end_of_line(Reader *s, const char **path);

bool accept_char(Reader *s, char c);
bool expect_char(Reader *s, char c);
bool accept_word(Reader *s, const char *w);
const char *read_word(Reader *s); /* a plain word, or NULL */

bool read_string(Reader *s, const char **out);
bool read_name(Reader *s, char sigil, const char **out); /* plain or quoted; sigil 0: none */
/* An integer or a float, told apart by its looks; *f is set for both. */
bool read_number(Reader *s, bool *is_int, int64_t *i, double *f);
bool read_type(Reader *s, Type *out);
bool read_attrs(Reader *s, Attr **list); /* {a=1, ...} or nothing */

#endif
