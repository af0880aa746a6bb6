/* GGUF, versions 2 and 3: "GGUF", the version, how many tensors and how many metadata there are; the metadata
 * {name, type, value}; {name, dimensions, type, offset} of each tensor, the fastest dimension first; padding; the
 * tensors' bytes, each at a multiple of the alignment.
 * https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 * The file comes from strangers: each number is checked before it is used. */
#include <stdlib.h>
#include <string.h>

#include "container.h"
#include "formats/format.h"

enum { STRING = 8, ARRAY = 9, UINT32 = 4, NESTED = 4, DEFAULT_ALIGNMENT = 32 };

typedef struct Reader {
    Diag *diag;
    WeightSet *w;
    const char *file;
    const uint8_t *data;
    size_t size, at;
    uint64_t alignment;
    uint64_t *offsets; /* of the tensors, from where the data begin */
    int n, cap;
} Reader;

static bool fail(const Reader *r, const char *tensor, const char *msg) {
    return diag_error(r->diag, container_loc(r->file, tensor), "%s", msg);
}

static bool truncated(const Reader *r, const char *where) {
    return fail(r, NULL, arena_printf(r->w->arena, "ends within %s: the file is truncated", where));
}

/* The next n bytes, little-endian. */
static bool take(Reader *r, int n, uint64_t *out) {
    if (r->size - r->at < (size_t)n) return false;
    *out = 0;
    for (int i = n - 1; i >= 0; i--) *out = *out << 8 | r->data[r->at + (size_t)i];
    r->at += (size_t)n;
    return true;
}

static bool take_text(Reader *r, const char **s, size_t *n) {
    uint64_t length;
    if (!take(r, 8, &length) || length > r->size - r->at) return false;
    *s = (const char *)r->data + r->at, *n = (size_t)length;
    r->at += *n;
    return true;
}

/* ---- metadata ---- */

/* Bytes of a value by its type; 0: a text, an array, or no type. */
static int value_bytes(uint64_t type) {
    static const uint8_t bytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return type < sizeof bytes ? bytes[type] : 0;
}

/* Skips a value; false: a message is filed. */
static bool skip_value(Reader *r, const char *key, uint64_t type, int depth) {
    const char *s;
    size_t length;
    uint64_t of, n;
    int bytes = value_bytes(type);
    if (bytes) return r->size - r->at >= (size_t)bytes ? (r->at += (size_t)bytes, true) : truncated(r, key);
    if (type == STRING) return take_text(r, &s, &length) || truncated(r, key);
    if (type != ARRAY || depth == NESTED)
        return fail(r, NULL,
                    arena_printf(r->w->arena, "%s is of type %llu, which GGUF does not know", key,
                                 (unsigned long long)type));
    if (!take(r, 4, &of) || !take(r, 8, &n)) return truncated(r, key);
    bytes = value_bytes(of);
    if (n > (r->size - r->at) / (bytes ? (size_t)bytes : 1)) return truncated(r, key);
    if (bytes) return r->at += (size_t)n * (size_t)bytes, true;
    for (uint64_t i = 0; i < n; i++)
        if (!skip_value(r, key, of, depth + 1)) return false;
    return true;
}

static bool read_alignment(Reader *r, uint64_t type) {
    if (type != UINT32 || !take(r, 4, &r->alignment) || !r->alignment || (r->alignment & (r->alignment - 1)))
        return fail(r, NULL, "general.alignment must be a power of two, as a uint32");
    return true;
}

static bool read_metadata(Reader *r, uint64_t n) {
    for (uint64_t i = 0; i < n; i++) {
        const char *s;
        size_t length;
        uint64_t type;
        if (!take_text(r, &s, &length) || !take(r, 4, &type)) return truncated(r, "its metadata");
        const char *key = container_clean(r->w->arena, s, length);
        bool alignment = !strcmp(key, "general.alignment");
        if (!(alignment ? read_alignment(r, type) : skip_value(r, key, type, 0))) return false;
    }
    return true;
}

/* ---- tensors ---- */

/* Types of single numbers, by GGUF's number. */
static const struct {
    uint64_t number;
    DType dt;
} PLAIN[] = {{0, DT_F32},  {1, DT_F16},  {24, DT_I8},  {25, DT_I16},
             {26, DT_I32}, {27, DT_I64}, {28, DT_F64}, {30, DT_BF16}};

static void find_type(const Reader *r, uint64_t number, RawTensor *t) {
    t->dt = DT_COUNT;
    for (size_t i = 0; i < sizeof PLAIN / sizeof *PLAIN; i++)
        if (PLAIN[i].number == number) t->dt = PLAIN[i].dt;
    for (const NumberFormat *const *f = FORMATS; *f; f++)
        if (format_has_blocks(*f) && (*f)->gguf && (uint64_t)(*f)->gguf == number) t->blocks = *f;
    /* Whoever uses the tensor refuses it; nobody may. */
    if (t->dt == DT_COUNT && !t->blocks)
        t->type = arena_printf(r->w->arena, "GGUF's type %llu", (unsigned long long)number);
}

/* GGUF names the fastest dimension first. */
static bool read_shape(Reader *r, RawTensor *t) {
    Arena *a = r->w->arena;
    uint64_t rank, dim;
    if (!take(r, 4, &rank)) return truncated(r, "its list of tensors");
    if (rank > RAW_MAX_RANK)
        return fail(r, t->name, arena_printf(a, "has more than %d dimensions", RAW_MAX_RANK));
    t->rank = (int)rank;
    for (int i = t->rank - 1; i >= 0; i--) {
        if (!take(r, 8, &dim)) return truncated(r, "its list of tensors");
        if (dim > INT64_MAX) return fail(r, t->name, "the product of its shape overflows 64 bits");
        t->dim[i] = (int64_t)dim;
    }
    return true;
}

static bool read_tensor(Reader *r) {
    Arena *a = r->w->arena;
    const char *s;
    size_t length;
    uint64_t type, offset;
    int64_t count;
    if (!take_text(r, &s, &length)) return truncated(r, "its list of tensors");
    if (memchr(s, 0, length)) return fail(r, NULL, "a tensor's name holds a NUL character");
    RawTensor t = {.name = arena_strndup(a, s, length), .file = r->file};
    if (!container_check_name(r->diag, a, r->file, t.name) || !read_shape(r, &t)) return false;
    if (!take(r, 4, &type) || !take(r, 8, &offset)) return truncated(r, "its list of tensors");
    find_type(r, type, &t);
    int64_t inputs = t.rank ? t.dim[t.rank - 1] : 1;
    if (t.blocks && inputs % t.blocks->block)
        return fail(r, t.name,
                    arena_printf(a, "is %s in rows of %lld numbers, which are no whole blocks of %d",
                                 t.blocks->name, (long long)inputs, t.blocks->block));
    if (!container_measure(&t, &count)) return fail(r, t.name, "the product of its shape overflows 64 bits");
    ARENA_PUSH(a, r->offsets, r->n, r->cap, offset);
    ARENA_PUSH(a, r->w->tensors, r->w->n, r->w->cap, t);
    return true;
}

/* Where the tensors lie, once it is known where the data begin. */
static bool place_tensors(const Reader *r, int first) {
    Arena *a = r->w->arena;
    uint64_t begin = (r->at + r->alignment - 1) / r->alignment * r->alignment;
    uint64_t size = begin < r->size ? r->size - begin : 0;
    for (int i = 0; i < r->n; i++) {
        RawTensor *t = &r->w->tensors[first + i];
        uint64_t offset = r->offsets[i];
        if (offset % r->alignment)
            return fail(r, t->name,
                        arena_printf(a, "begins at byte %llu of the data, which is no multiple of %llu",
                                     (unsigned long long)offset, (unsigned long long)r->alignment));
        if (offset > size || t->bytes > size - offset)
            return fail(
                r, t->name,
                arena_printf(a,
                             "%s at byte %llu of the data reaches beyond the file, which has %llu bytes of "
                             "data: it is truncated",
                             raw_tensor_type(a, t), (unsigned long long)offset, (unsigned long long)size));
        t->data = t->bytes ? r->data + begin + offset : r->data;
    }
    return true;
}

static int by_place(const void *x, const void *y) {
    const RawTensor *a = *(const RawTensor *const *)x, *b = *(const RawTensor *const *)y;
    return a->data < b->data ? -1 : a->data > b->data;
}

static bool check_overlap(const Reader *r, int first) {
    Arena *a = r->w->arena;
    const RawTensor **t = ARENA_ARRAY(a, const RawTensor *, r->n);
    int n = 0;
    for (int i = first; i < r->w->n; i++)
        if (r->w->tensors[i].bytes) t[n++] = &r->w->tensors[i];
    if (n) qsort(t, (size_t)n, sizeof *t, by_place);
    for (int i = 1; i < n; i++)
        if (t[i]->data < t[i - 1]->data + t[i - 1]->bytes)
            return fail(r, t[i]->name, arena_printf(a, "its bytes overlap those of \"%s\"", t[i - 1]->name));
    return true;
}

static bool read_head(Reader *r, uint64_t *tensors, uint64_t *metadata) {
    Arena *a = r->w->arena;
    uint64_t version;
    r->at = 4;
    if (!take(r, 4, &version)) return truncated(r, "its header");
    if (version != 2 && version != 3)
        return fail(r, NULL,
                    arena_printf(a, "is GGUF of version %llu%s: versions 2 and 3 are read, little-endian",
                                 (unsigned long long)version, version & 0xffff ? "" : " (or big-endian)"));
    return (take(r, 8, tensors) && take(r, 8, metadata)) || truncated(r, "its header");
}

bool gguf_read(Diag *d, WeightSet *w, const char *file, const uint8_t *data, size_t size) {
    Reader r = {.diag = d, .w = w, .file = file, .data = data, .size = size, .alignment = DEFAULT_ALIGNMENT};
    uint64_t tensors = 0, metadata = 0;
    int first = w->n;
    if (size < 4 || memcmp(data, "GGUF", 4))
        return fail(&r, NULL, "is not a GGUF file: it does not begin with GGUF");
    if (!read_head(&r, &tensors, &metadata) || !read_metadata(&r, metadata)) return false;
    for (uint64_t i = 0; i < tensors; i++)
        if (!read_tensor(&r)) return false;
    return place_tensors(&r, first) && check_overlap(&r, first) && container_seal(d, w, first);
}
