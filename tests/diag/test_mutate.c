/* Damaged models, at random but always the same ones: bytes and values of checkpoints, configurations and
 * descriptions are changed, and what comes out goes the way to the loops. It is accepted, or refused with a
 * message; it never ends in a crash, a hang or an error of the compiler's own. Each case runs in a child.
 *     test_mutate [BTC [CONFORMANCE]]     BTC_MUTATE=N: N cases; BTC_MUTATE_ONLY=K: the Kth, with its text */
#include "compile.h"
#include "desc/desc.h"
#include "edit.h"

enum { CASES = 300, SECONDS = 120 /* a hang, not a slow machine */, MAX_TOKENS = 1 << 14 };

/* ---- chance ---- */

static uint64_t seed;

static uint64_t chance(uint64_t n) {
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return n ? seed % n : 0;
}

static void chance_begin(int k) {
    seed = 0x9e3779b97f4a7c15u * (uint64_t)(k + 1);
    for (int i = 0; i < 8; i++) chance(1);
}

/* ---- changes ---- */

static const char *const ODD[] = {"0",       "1",    "2",          "3",     "5",          "7",      "-1",
                                  "64",      "1e9",  "2147483647", "1e-40", "1e300",      "NaN",    "null",
                                  "[]",      "{}",   "\"x\"",      "\"\"",  "true",       "[1, 2]", "0.5",
                                  "1048576", "4096", "-0.0",       "1e4",   "-2147483648"};

/* Bytes of a range are changed, one to four of them. */
static Bytes flip(Bytes b, size_t from, size_t n) {
    for (uint64_t i = 1 + chance(4); i && n; i--) {
        size_t at = from + chance(n);
        if (at < b.n) b.s[at] = (char)(chance(2) ? b.s[at] ^ 1 << chance(8) : (int)chance(256));
    }
    return b;
}

/* What stands in a JSON text, without its keys. */
typedef enum TokenKind { TOKEN_NUMBER, TOKEN_WORD, TOKEN_WEIGHT, TOKEN_FORMULA } TokenKind;
typedef struct Token {
    size_t at, n;
    TokenKind kind;
} Token;

static int read_tokens(Bytes b, Token *t) {
    int n = 0;
    for (size_t i = 0; i < b.n && n < MAX_TOKENS;) {
        size_t len = 1;
        if (b.s[i] == '"') {
            len = strcspn(b.s + i + 1, "\"") + 2;
            if (len > b.n - i) break;
            const char *text = arena_strndup(arena, b.s + i, len);
            TokenKind kind = text[1] == '@'          ? TOKEN_WEIGHT
                             : strpbrk(text, " (*+") ? TOKEN_FORMULA
                                                     : TOKEN_WORD;
            if (b.s[i + len] != ':') t[n++] = (Token){i, len, kind};
        } else if (strchr("-0123456789", b.s[i])) {
            len = strspn(b.s + i, "-+.eE0123456789");
            t[n++] = (Token){i, len, TOKEN_NUMBER};
        }
        i += len;
    }
    return n;
}

/* A number becomes a near one or an odd one. */
static const char *other_number(const char *text) {
    long long v = atoll(text);
    switch (chance(8)) {
    case 0:
        return arena_printf(arena, "%lld", v + 1);
    case 1:
        return arena_printf(arena, "%lld", v - 1);
    case 2:
        return arena_printf(arena, "%lld", v * 2);
    case 3:
        return arena_printf(arena, "%lld", v / 2);
    case 4:
    case 5:
        return arena_printf(arena, "%lld", (long long)(1 + chance(40)));
    default:
        return ODD[chance(sizeof ODD / sizeof *ODD)];
    }
}

/* One name or sign inside of a string becomes another. */
static const char *other_string(const char *text) {
    static const char *const words[] = {"D", "V", "H", "K", "1", "2",   "3",    "x",    "u",   "q",
                                        "v", "*", "/", "+", "-", "exp", "sqrt", "silu", "D, D"};
    size_t n = strlen(text), at = 1 + chance(n > 2 ? n - 2 : 1), start = at, end = at + 1;
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.";
    while (start > 1 && strchr(letters, text[at]) && strchr(letters, text[start - 1])) start--;
    while (end < n - 1 && strchr(letters, text[at]) && strchr(letters, text[end])) end++;
    return arena_printf(arena, "%.*s%s%s", (int)start, text, words[chance(sizeof words / sizeof *words)],
                        text + end);
}

/* One value of the text: a number becomes another one, a string another of its kind or a different one. */
static Bytes change_one(Bytes b) {
    static Token t[MAX_TOKENS];
    int n = read_tokens(b, t), tries = 20;
    if (n == 0) return b;
    const Token *a = &t[chance((uint64_t)n)], *c = a;
    if (chance(2)) /* there are fewer numbers than names */
        while (a->kind != TOKEN_NUMBER && tries--) a = &t[chance((uint64_t)n)];
    const char *old = arena_strndup(arena, b.s + a->at, a->n), *by;
    for (tries = 20; (c == a || c->kind != a->kind) && tries--;) c = &t[chance((uint64_t)n)];
    if (a->kind == TOKEN_NUMBER)
        by = other_number(old);
    else if (a->kind == TOKEN_WORD || !chance(4))
        by = arena_strndup(arena, b.s + c->at, c->n);
    else
        by = other_string(old);
    if (a->n > 2 && op_find(arena_strndup(arena, old + 1, a->n - 2)) && chance(2))
        by = arena_printf(arena, "\"%s\"", OP_TABLE[chance(OP_COUNT)]->name);
    return replaced(b, a->at, a->n, by);
}

static Bytes shuffle(Bytes b) {
    for (uint64_t i = 1 + chance(3) / 2; i; i--) b = change_one(b);
    return b;
}

/* Sizes that nobody has tried: some dimensions are small numbers. */
static Bytes resize(Bytes b) {
    const char *dims = memmem(b.s, b.n, "\"dims\":", 7), *end = dims ? strchr(dims, '}') : NULL;
    if (!end) return b;
    for (size_t i = (size_t)(dims - b.s); b.s[i] != '}';) {
        size_t len = strspn(b.s + i, "0123456789");
        bool number = len && strchr(" :", b.s[i - 1]);
        if (number && !chance(3)) {
            const char *by = arena_printf(arena, "%d", (int)(1 + chance(chance(4) ? 10 : 300)));
            b = replaced(b, i, len, by);
            len = strlen(by);
        }
        i += len ? len : 1;
    }
    return b;
}

/* The shapes of a header stay in step with their offsets if only axes of one length are swapped. */
static Bytes damage_header(Bytes b) {
    uint64_t n = length_of(b);
    if (chance(4) == 0) return flip(b, 0, 8);
    if (chance(2)) return flip(b, 8, (size_t)n);
    Bytes header = shuffle((Bytes){arena_strndup(arena, b.s + 8, (size_t)n), (size_t)n});
    return with_length(replaced(b, 8, (size_t)n, header.s), header.n);
}

/* ---- one case, in a child ---- */

static int lower(Diag *d, Model *m, bool ok) {
    CompileOptions o = {.cpu = "x86-64-v3", .target = "x86_64-linux-gnu", .quiet = true};
    Compiled c;
    o.passes.verify = true;
    ok = ok && compile_lower(d, m, &o, &c);
    return ok ? (d->errors ? 4 : 0) : (d->errors ? 1 : 3);
}

static int open_folder(FILE *out) {
    Diag d = diag_new(arena, out);
    Model m;
    bool ok = model_open(&d, arena, "m", &(ModelOptions){0}, &m);
    return lower(&d, &m, ok);
}

/* Shapes come from the description alone, so that any sizes get as far as they can. */
static int open_description(FILE *out, Bytes b) {
    Diag d = diag_new(arena, out);
    Model m = {.arena = arena, .path = "m.json", .description = b.s, .description_size = b.n};
    m.module = desc_load(&d, arena, "m.json", b.s, b.n, NULL);
    return lower(&d, &m, m.module != NULL);
}

static int in_child(bool description, Bytes b) {
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        FILE *out = fopen("messages", "w");
        alarm(SECONDS);
        if (out) dup2(fileno(out), 2);
        int status = description ? open_description(out, b) : open_folder(out);
        if (out) fclose(out);
        _exit(status);
    }
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) != pid) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* ---- all of them ---- */

typedef struct Base {
    const char *name;
    Bytes description;
} Base;

static int read_bases(Base *bases, int cap) {
    int n = 0;
    DIR *d = opendir(cases);
    for (struct dirent *e; d && (e = readdir(d)) && n < cap;) {
        if (e->d_name[0] == '.' || !file_is_folder(arena_printf(arena, "%s/%s", cases, e->d_name))) continue;
        Diag diag = diag_new(arena, NULL);
        Model m;
        bool ok =
            model_open(&diag, arena, arena_printf(arena, "%s/%s", cases, e->d_name), &(ModelOptions){0}, &m);
        if (ok) {
            int at = n++; /* in the order of their names: that of a folder is chance of another kind */
            for (; at > 0 && strcmp(bases[at - 1].name, e->d_name) > 0; at--) bases[at] = bases[at - 1];
            bases[at] = (Base){arena_strdup(arena, e->d_name), {m.description, m.description_size}};
        }
        model_close(&m);
    }
    if (d) closedir(d);
    return n;
}

static void mutate_file(const char *name, Bytes (*change)(Bytes)) {
    const char *path = arena_printf(arena, "m/%s", name);
    if (!file_exists(path)) return;
    Bytes b = change(read_bytes(path));
    write_bytes(path, b.s, b.n);
}

static Bytes flip_anywhere(Bytes b) {
    return flip(b, 0, b.n);
}

static void check_case(int k, const Base *base, bool show, int *refused) {
    chance_begin(k);
    uint64_t kind = chance(8);
    Bytes text = {0};
    if (kind >= 3) {
        text = (Bytes){arena_strdup(arena, base->description.s), base->description.n};
        text = kind == 3 ? flip_anywhere(text) : kind < 6 ? shuffle(text) : resize(text);
        if (show) printf("%s\n", text.s);
    } else {
        fresh_copy(base->name);
        if (kind == 0) mutate_file("model.safetensors", damage_header);
        if (kind == 1) mutate_file("config.json", shuffle);
        if (kind == 2) mutate_file("config.json", flip_anywhere);
        if (show) printf("%s\n", read_bytes("m/config.json").s);
    }
    int status = in_child(kind >= 3, text);
    *refused += status == 1;
    if (CHECK(status == 0 || status == 1) && !show) return;
    fprintf(stderr, "    BTC_MUTATE_ONLY=%d: %s, kind %d: status %d\n%s\n", k, base->name, (int)kind, status,
            read_bytes("messages").s);
}

int main(int argc, char **argv) {
    enum { MAX_BASES = 256 };
    static Base bases[MAX_BASES];
    if (!kit_begin(argc, argv)) return 2;
    int n = read_bases(bases, MAX_BASES), refused = 0;
    const char *count = getenv("BTC_MUTATE"), *only = getenv("BTC_MUTATE_ONLY");
    int total = count ? atoi(count) : CASES;
    Arena *keep = arena;
    for (int k = only ? atoi(only) : 0; n && k < (only ? atoi(only) + 1 : total); k++) {
        arena = arena_new(); /* texts of one case */
        check_case(k, &bases[k % n], only != NULL, &refused);
        arena_free(arena);
        arena = keep;
    }
    if (n && !only)
        CHECK(refused > total / 4 && refused < total); /* changes are neither all fatal nor all idle */
    if (!n) printf("mutate: skipped: there are no cases\n");
    return kit_end("mutate");
}
