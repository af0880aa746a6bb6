/* safetensors: 8 bytes of header length (little-endian), a JSON object {name: {dtype, shape, data_offsets}},
 * then the data, which the tensors must tile exactly: no overlap and no hole, as the format demands.
 * https://github.com/huggingface/safetensors#format
 * The header comes from strangers: each number is checked before it is used. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "container.h"
#include "desc/json.h"

enum { LENGTH_BYTES = 8, ALIGN = 64 };

typedef struct Header {
    Diag *diag;
    WeightSet *w;
    const char *file;
    const uint8_t *data; /* what follows the header */
    size_t size;
} Header;

static uint64_t load_u64(const uint8_t *p) {
    uint64_t v = 0;
    for (int i = 7; i >= 0; i--) v = v << 8 | p[i];
    return v;
}

static bool fail(const Header *h, const char *tensor, const char *msg) {
    return diag_error(h->diag, container_loc(h->file, tensor), "%s", msg);
}

/* JSON numbers are doubles: beyond 2^53 they are no longer the integers that were written. */
static bool get_count(const cJSON *j, int64_t *out) {
    if (!cJSON_IsNumber(j)) return false;
    double v = j->valuedouble;
    if (!(v >= 0 && v <= 9007199254740992.0) || v != (double)(int64_t)v) return false;
    *out = (int64_t)v;
    return true;
}

static bool read_dtype(const Header *h, RawTensor *t, const cJSON *j) {
    Arena *a = h->w->arena;
    if (!cJSON_IsString(j)) return fail(h, t->name, "needs a \"dtype\", a string such as \"F32\"");
    if (dtype_parse_safetensors(j->valuestring, &t->dt)) return true;
    /* Whoever uses the tensor refuses it; nobody may. */
    t->dt = DT_COUNT;
    t->type = container_clean(a, j->valuestring, strlen(j->valuestring));
    for (int i = 0; i < DT_COUNT; i++)
        if (!strcasecmp(t->type, dtype_safetensors_name((DType)i)))
            t->type = arena_printf(a, "\"%s\", which the format writes \"%s\"", t->type,
                                   dtype_safetensors_name((DType)i));
    return true;
}

static bool read_shape(const Header *h, RawTensor *t, const cJSON *j) {
    if (!cJSON_IsArray(j)) return fail(h, t->name, "needs a \"shape\", an array of integers");
    for (const cJSON *e = j->child; e; e = e->next) {
        if (t->rank == RAW_MAX_RANK)
            return fail(h, t->name, arena_printf(h->w->arena, "has more than %d axes", RAW_MAX_RANK));
        if (!get_count(e, &t->dim[t->rank]))
            return fail(h, t->name,
                        arena_printf(h->w->arena, "shape[%d] must be a non-negative integer", t->rank));
        t->rank++;
    }
    int64_t count;
    return container_measure(t, &count) || fail(h, t->name, "the product of its shape overflows 64 bits");
}

static bool read_offsets(const Header *h, RawTensor *t, const cJSON *j) {
    Arena *a = h->w->arena;
    int64_t begin, end;
    if (!cJSON_IsArray(j) || cJSON_GetArraySize(j) != 2 || !get_count(j->child, &begin) ||
        !get_count(j->child->next, &end))
        return fail(h, t->name, "needs \"data_offsets\", two non-negative integers [begin, end]");
    if (begin > end)
        return fail(h, t->name,
                    arena_printf(a, "data_offsets [%lld, %lld] end before they begin", (long long)begin,
                                 (long long)end));
    if ((uint64_t)end > h->size)
        return fail(h, t->name,
                    arena_printf(a,
                                 "data_offsets [%lld, %lld] reach beyond the data, which has %zu bytes: "
                                 "the file is truncated, or its header is wrong",
                                 (long long)begin, (long long)end, h->size));
    if (t->dt == DT_COUNT) t->bytes = (size_t)(end - begin);
    if ((uint64_t)(end - begin) != t->bytes)
        return fail(h, t->name,
                    arena_printf(a, "%s needs %zu bytes, but data_offsets [%lld, %lld] give %lld",
                                 raw_tensor_type(a, t), t->bytes, (long long)begin, (long long)end,
                                 (long long)(end - begin)));
    t->data = h->data + begin;
    return true;
}

static bool read_entry(const Header *h, const cJSON *e) {
    Arena *a = h->w->arena;
    if (!container_check_name(h->diag, a, h->file, e->string)) return false;
    RawTensor t = {.name = arena_strdup(a, e->string), .file = h->file};
    if (!cJSON_IsObject(e))
        return fail(h, t.name, "must be an object with \"dtype\", \"shape\" and \"data_offsets\"");
    if (!read_dtype(h, &t, json_get(e, "dtype")) || !read_shape(h, &t, json_get(e, "shape")) ||
        !read_offsets(h, &t, json_get(e, "data_offsets")))
        return false;
    ARENA_PUSH(a, h->w->tensors, h->w->n, h->w->cap, t);
    return true;
}

static int by_place(const void *x, const void *y) {
    const RawTensor *a = *(const RawTensor *const *)x, *b = *(const RawTensor *const *)y;
    if (a->data != b->data) return a->data < b->data ? -1 : 1;
    if (a->bytes != b->bytes) return a->bytes < b->bytes ? -1 : 1;
    return strcmp(a->name, b->name);
}

/* The tensors in file order must tile the data: each begins where the one before ends. */
static bool check_tiling(const Header *h, int first) {
    Arena *a = h->w->arena;
    int n = h->w->n - first;
    const RawTensor **t = ARENA_ARRAY(a, const RawTensor *, n), *before = NULL;
    for (int i = 0; i < n; i++) t[i] = &h->w->tensors[first + i];
    qsort(t, (size_t)n, sizeof *t, by_place);
    size_t at = 0;
    for (int i = 0; i < n; i++) {
        size_t begin = (size_t)(t[i]->data - h->data);
        if (begin < at)
            return fail(h, t[i]->name,
                        arena_printf(a, "its bytes [%zu, %zu] overlap those of \"%s\", which end at %zu",
                                     begin, begin + t[i]->bytes, before->name, at));
        if (begin > at)
            return fail(h, t[i]->name,
                        arena_printf(a,
                                     "begins at byte %zu, but the tensor before it ends at %zu: the format "
                                     "allows no hole",
                                     begin, at));
        at = begin + t[i]->bytes;
        before = t[i];
    }
    if (at == h->size) return true;
    return fail(h, NULL,
                arena_printf(a, "the last tensor ends at byte %zu of the data, but the data has %zu bytes",
                             at, h->size));
}

static bool read_header(const Header *h, const char *text, size_t size) {
    int first = h->w->n;
    Json json;
    if (size == 0 || *text != '{') return fail(h, NULL, "the header is not a JSON object");
    bool ok = json_parse(h->diag, h->w->arena, h->file, text, size, JSON_HEADER, &json);
    for (const cJSON *e = ok ? json.root->child : NULL; ok && e; e = e->next)
        if (strcmp(e->string, "__metadata__")) ok = read_entry(h, e);
    json_free(&json);
    return ok && check_tiling(h, first) && container_seal(h->diag, h->w, first);
}

bool safetensors_read(Diag *d, WeightSet *w, const char *file, const uint8_t *data, size_t size) {
    Loc loc = {.file = file};
    if (size < LENGTH_BYTES)
        return diag_error(d, loc, "is not a safetensors file: %zu bytes, too short for the header's length",
                          size);
    uint64_t length = load_u64(data);
    if (length > size - LENGTH_BYTES)
        return diag_error(d, loc,
                          "the header should have %llu bytes, but only %zu follow: the file is truncated or "
                          "not safetensors",
                          (unsigned long long)length, size - LENGTH_BYTES);
    const uint8_t *header = data + LENGTH_BYTES;
    Header h = {d, w, file, header + length, size - LENGTH_BYTES - (size_t)length};
    return read_header(&h, (const char *)header, (size_t)length);
}

/* ---- writing ---- */

static void add_json_string(Text *t, const char *s) {
    text_add_n(t, "\"", 1);
    for (; *s; s++) {
        if ((unsigned char)*s < 0x20) {
            text_add(t, "\\u%04x", (unsigned)*s);
            continue;
        }
        if (*s == '"' || *s == '\\') text_add_n(t, "\\", 1);
        text_add_n(t, s, 1);
    }
    text_add_n(t, "\"", 1);
}

static int by_pointed_name(const void *x, const void *y) {
    return strcmp(*(const char *const *)x, *(const char *const *)y);
}

/* Nothing may be written that our own reader would refuse. */
static bool check_written(Diag *d, Arena *a, const char *file, const RawTensor *tensors, int n) {
    const char **names = ARENA_ARRAY(a, const char *, n);
    for (int i = 0; i < n; i++) {
        RawTensor t = tensors[i];
        int64_t count;
        if (!container_measure(&t, &count) || t.bytes != tensors[i].bytes)
            BTC_BUG("safetensors_write: %s has %zu bytes for its shape", t.name, tensors[i].bytes);
        names[i] = t.name;
    }
    if (n) qsort(names, (size_t)n, sizeof *names, by_pointed_name);
    for (int i = 1; i < n; i++)
        if (!strcmp(names[i - 1], names[i]))
            return diag_error(d, container_loc(file, names[i]), "cannot write two tensors of this name");
    return true;
}

bool safetensors_write(Diag *d, Arena *a, const char *file, const RawTensor *tensors, int n) {
    OutFile o;
    Text t = text_new(a);
    size_t at = 0;
    if (!check_written(d, a, file, tensors, n)) return false;
    /* Other readers ask for the format note. */
    text_add(&t, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (int i = 0; i < n; i++) {
        text_add(&t, ",");
        add_json_string(&t, tensors[i].name);
        text_add(&t, ":{\"dtype\":\"%s\",\"shape\":[", dtype_safetensors_name(tensors[i].dt));
        for (int k = 0; k < tensors[i].rank; k++)
            text_add(&t, "%s%lld", k ? "," : "", (long long)tensors[i].dim[k]);
        text_add(&t, "],\"data_offsets\":[%zu,%zu]}", at, at + tensors[i].bytes);
        at += tensors[i].bytes;
    }
    text_add(&t, "}");
    /* The format forbids holes between tensors, so only the data as a whole is aligned: by spaces here. */
    while ((LENGTH_BYTES + t.n) % ALIGN) text_add_n(&t, " ", 1);
    uint8_t length[LENGTH_BYTES];
    for (int i = 0; i < LENGTH_BYTES; i++) length[i] = (uint8_t)((uint64_t)t.n >> (8 * i));
    if (!out_open(d, a, file, &o)) return false;
    out_write(&o, length, sizeof length);
    out_write(&o, t.s, t.n);
    for (int i = 0; i < n; i++) out_write(&o, tensors[i].data, tensors[i].bytes);
    return out_commit(&o, false);
}
