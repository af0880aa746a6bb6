/* Characters, words, literals, types, attributes: see reader.h. */
#include "reader.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LANES = 4096 };
static const int64_t MAX_ELEMENTS = (int64_t)1 << 48; /* of one tensor: keeps sizes inside int64 */

Loc read_here(const Reader *s) {
    return (Loc){.file = s->file, .line = s->line, .col = (int)(s->p - s->line_start) + 1};
}

bool read_fail(Reader *s, const char *what) {
    return diag_error(s->d, read_here(s), "%s", what);
}

/* ---- characters and words ---- */

void read_blanks(Reader *s) {
    while (*s->p == ' ' || *s->p == '\t' || *s->p == '\r') s->p++;
}

static void skip_comment(Reader *s) {
    if (*s->p == ';') s->p += strcspn(s->p, "\n");
}

void read_lines(Reader *s) {
    for (;;) {
        read_blanks(s), skip_comment(s);
        if (*s->p != '\n') return;
        s->p++, s->line++, s->line_start = s->p;
    }
}

bool accept_char(Reader *s, char c) {
    read_blanks(s);
    if (*s->p != c) return false;
    return s->p++, true;
}

bool expect_char(Reader *s, char c) {
    return accept_char(s, c) || diag_error(s->d, read_here(s), "expected %c", c);
}

static bool is_word_char(char c) {
    return isalnum((unsigned char)c) || c == '_' || c == '.';
}

const char *read_word(Reader *s) {
    read_blanks(s);
    size_t n = 0;
    while (is_word_char(s->p[n])) n++;
    if (!n) return NULL;
    s->p += n;
    return arena_strndup(s->a, s->p - n, n);
}

bool accept_word(Reader *s, const char *w) {
    read_blanks(s);
    size_t n = strlen(w);
    if (strncmp(s->p, w, n) || is_word_char(s->p[n])) return false;
    return s->p += n, true;
}

bool read_end_of_line(Reader *s, const char **path) {
    read_blanks(s);
    if (*s->p == ';') {
        const char *text = s->p + 1 + (s->p[1] == ' ');
        skip_comment(s);
        if (path && *text == '$') *path = arena_strndup(s->a, text, (size_t)(s->p - text));
    }
    return *s->p == '\n' || *s->p == 0 || read_fail(s, "expected the end of the line");
}

/* ---- literals ---- */

static int hex_digit(char c) {
    return isdigit((unsigned char)c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* \xNN; 00 is refused, since names are C strings. */
static bool hex_escape(Reader *s, char *out) {
    int hi = hex_digit(s->p[1]), lo = hi < 0 ? -1 : hex_digit(s->p[2]);
    if (lo < 0 || hi + lo == 0) return read_fail(s, "bad \\x in a string");
    return *out = (char)(hi * 16 + lo), s->p += 3, true;
}

bool read_string(Reader *s, const char **out) {
    if (!expect_char(s, '"')) return false;
    Text t = text_new(s->a);
    while (*s->p != '"') {
        if (*s->p == 0 || *s->p == '\n') return read_fail(s, "the string does not end on this line");
        char c = *s->p++;
        if (c == '\\') {
            c = *s->p;
            if (c == 'x') {
                if (!hex_escape(s, &c)) return false;
            } else if (c == 'n' || c == '"' || c == '\\') {
                c = c == 'n' ? '\n' : c, s->p++;
            } else {
                return read_fail(s, "unknown escape in a string");
            }
        }
        text_add_n(&t, &c, 1);
    }
    s->p++;
    return *out = t.s, true;
}

bool read_name(Reader *s, char sigil, const char **out) {
    if (sigil && !expect_char(s, sigil)) return false;
    if (sigil ? *s->p == '"' : (read_blanks(s), *s->p == '"')) return read_string(s, out);
    if (!is_word_char(*s->p)) return read_fail(s, "expected a name");
    return *out = read_word(s), true;
}

bool read_number(Reader *s, bool *is_int, int64_t *i, double *f) {
    read_blanks(s);
    char text[64];
    size_t n = 0;
    while (is_word_char(s->p[n]) || s->p[n] == '-' || s->p[n] == '+') n++;
    if (n == 0 || n >= sizeof text) return read_fail(s, "expected a number");
    memcpy(text, s->p, n), text[n] = 0;
    char *end;
    size_t sign = text[0] == '-';
    *is_int = strspn(text + sign, "0123456789") == n - sign && n > sign;
    errno = 0;
    if (*is_int)
        *i = strtoll(text, &end, 10), *f = (double)*i;
    else
        *f = strtod(text, &end), *i = 0;
    /* strtod reports subnormal numbers as out of range; they are exact all the same. */
    if (*end || (*is_int && errno == ERANGE)) return read_fail(s, "expected a number");
    return s->p += n, true;
}

static bool integer(Reader *s, int64_t lo, int64_t hi, int64_t *out) {
    bool is_int;
    double f;
    Reader at = *s;
    if (!read_number(s, &is_int, out, &f)) return false;
    if (is_int && *out >= lo && *out <= hi) return true;
    return diag_error(s->d, read_here(&at), "expected an integer from %lld to %lld", (long long)lo,
                      (long long)hi);
}

/* ---- types ---- */

static bool tensor_type(Reader *s, DType dt, Type *out) {
    int64_t count = 1;
    *out = (Type){.kind = TY_TENSOR, .dt = dt};
    if (!expect_char(s, '[')) return false;
    if (accept_char(s, ']')) return true;
    out->seq = accept_word(s, "T");
    if (out->seq && accept_char(s, ']')) return true;
    if (out->seq && !expect_char(s, ',')) return false;
    do {
        if (out->rank == MAX_RANK) return read_fail(s, "too many dimensions");
        int64_t *dim = &out->dim[out->rank++];
        if (!integer(s, 0, MAX_ELEMENTS, dim)) return false;
        if (__builtin_mul_overflow(count, *dim, &count) || count > MAX_ELEMENTS)
            return read_fail(s, "the tensor is too large");
    } while (accept_char(s, ','));
    return expect_char(s, ']');
}

bool read_type(Reader *s, Type *out) {
    if (accept_char(s, '?')) return *out = (Type){0}, true;
    if (accept_word(s, "ptr")) return *out = type_ptr(), true;
    const Reader start = *s;
    const char *w = read_word(s);
    for (int i = 0; w && i < DT_COUNT; i++) {
        const char *text = dtype_name((DType)i);
        size_t n = strlen(text);
        if (strncmp(w, text, n)) continue;
        if (!w[n] && *s->p == '[') return tensor_type(s, (DType)i, out);
        int lanes = 0;
        if (w[n] == 'x' && isdigit((unsigned char)w[n + 1])) {
            for (n++; isdigit((unsigned char)w[n]) && lanes <= MAX_LANES; n++)
                lanes = 10 * lanes + w[n] - '0';
            if (lanes == 0 || lanes > MAX_LANES) continue;
        }
        if (!w[n]) return *out = type_scalar((DType)i, lanes), true;
    }
    *s = start;
    return read_fail(s, "expected a type such as f32[T,8], f32x16, i64 or ptr");
}

/* ---- attributes ---- */

typedef struct List {
    int64_t *ints;
    double *floats;
    int n, ints_cap, floats_cap;
} List;

static bool list_value(Reader *s, Attr *a) {
    List l = {0};
    bool floats = false;
    if (accept_char(s, '.'))
        floats = true;
    else if (read_blanks(s), *s->p != ']') {
        do {
            bool is_int;
            int64_t i;
            double f;
            if (!read_number(s, &is_int, &i, &f)) return false;
            floats = floats || !is_int;
            int n = l.n;
            ARENA_PUSH(s->a, l.ints, n, l.ints_cap, i);
            ARENA_PUSH(s->a, l.floats, l.n, l.floats_cap, f);
        } while (accept_char(s, ','));
    }
    a->kind = floats ? AT_FLOATS : AT_INTS, a->n = l.n;
    if (floats)
        a->floats = l.floats;
    else
        a->ints = l.ints;
    return expect_char(s, ']');
}

static bool attr_value(Reader *s, Attr *a) {
    read_blanks(s);
    if (*s->p == '"') return a->kind = AT_STR, read_string(s, &a->s);
    if (accept_char(s, '[')) return list_value(s, a);
    if (accept_word(s, "true")) return a->kind = AT_BOOL, a->i = 1, true;
    if (accept_word(s, "false")) return a->kind = AT_BOOL, true;
    bool is_int;
    if (!read_number(s, &is_int, &a->i, &a->f)) return false;
    a->kind = is_int ? AT_INT : AT_FLOAT;
    if (is_int) a->f = 0;
    return true;
}

bool read_attrs(Reader *s, Attr **list) {
    if (!accept_char(s, '{')) return true;
    if (accept_char(s, '}')) return true;
    do {
        Attr a = {0};
        if (!read_name(s, 0, &a.name)) return false;
        if (attr_find(*list, a.name)) return read_fail(s, "this attribute is given twice");
        if (!expect_char(s, '=') || !attr_value(s, &a)) return false;
        attr_set(s->a, list, a);
    } while (accept_char(s, ','));
    return expect_char(s, '}');
}
