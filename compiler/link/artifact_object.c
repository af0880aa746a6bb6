/* The data object of an artefact: btc_artifact_data, its texts and tables, the place of the weights. Fields are
 * numbers of 64 bits, or addresses that the linker fills in; kernels never name the weights. */
#include <string.h>

#include "artifact_spec.h"

enum { PAGE = 4096 };

static void check_regions(const ArtifactSpec *s) {
    int64_t end = BTC_STATE_HEADER;
    for (int64_t k = 0; k < s->region_count; k++) {
        const btc_region *r = &s->regions[k];
        int64_t last = r->offset + (r->pieces - 1) * r->stride;
        int64_t units = r->tokens ? (r->most + r->tokens - 1) / r->tokens : 1;
        if (r->offset < end || r->pieces < 1 || r->unit < 1 || units < 1 ||
            (r->pieces > 1 && r->stride < units * r->unit) || last + units * r->unit > s->info.state_bytes)
            BTC_BUG("region %lld of the state block", (long long)k);
        end = last + units * r->unit;
    }
    for (int64_t k = 0; k < s->fill_count; k++) {
        bool always = false;
        for (int64_t i = 0; i < s->region_count; i++) {
            const btc_region *r = &s->regions[i];
            always |= !r->tokens && s->fills[k].offset >= r->offset &&
                      s->fills[k].offset + s->fills[k].bytes <= r->offset + r->unit;
        }
        if (!always) BTC_BUG("a start value is in a part that is not always in use");
    }
}

void artifact_check(const ArtifactSpec *s) {
    const btc_info *i = &s->info;
    if (!i->name || !i->target || !i->cpu) BTC_BUG("artefact without name, target or cpu");
    if (i->kind != BTC_TOKENS && i->kind != BTC_FEATURES) BTC_BUG("kind of model is not set");
    if (i->chunk < 1 || i->max_batch < 1 || i->output_width < 1 || i->input_width < 1 || i->context < 0)
        BTC_BUG("a size of the artefact is not set");
    if (i->state_bytes < BTC_STATE_HEADER || i->state_bytes % BTC_ALIGN || i->work_shared % BTC_ALIGN ||
        i->work_thread % BTC_ALIGN)
        BTC_BUG("state and work sizes must be multiples of %d", BTC_ALIGN);
    if (i->weights_bytes > 0 && !s->write_weights) BTC_BUG("no writer for the weights");
    for (int64_t k = 0; k < i->slot_count; k++) {
        const btc_slot *t = &i->slots[k];
        if (t->offset < BTC_STATE_HEADER || t->bytes < 0 || t->bytes > i->state_bytes - t->offset)
            BTC_BUG("slot %s is outside of the state block", t->name);
    }
    if (i->eos_count < 0 || (i->eos_count ? i->eos_ids[0] : -1) != i->eos)
        BTC_BUG("eos is not the first of its list");
    for (int64_t k = 0; k < s->fill_count; k++) {
        const btc_fill *f = &s->fills[k];
        if (f->offset < BTC_STATE_HEADER || f->bytes < 0 || (f->offset | f->bytes) % 4 ||
            f->bytes > i->state_bytes - f->offset)
            BTC_BUG("a start value is outside of the state block");
    }
    check_regions(s);
}

/* Writing one struct after another, field by field, as a table of its own; texts go to `texts`. */
typedef struct Writer {
    Arena *a;
    int pointer_bytes;
    Codegen *c;
    Text texts;
    CodegenEntry *fields;
    int n, cap;
    int start; /* field at which the struct being written begins, to check the order */
} Writer;

static const char TEXTS[] = "btc_artifact_texts";

static void add_int(Writer *w, int64_t v) {
    CodegenEntry number = {.value = v};
    ARENA_PUSH(w->a, w->fields, w->n, w->cap, number);
}

static void add_address(Writer *w, const char *symbol) {
    CodegenEntry address = {true, symbol, 0};
    ARENA_PUSH(w->a, w->fields, w->n, w->cap, address);
}

static void add_text(Writer *w, const char *s) {
    CodegenEntry at = {true, s ? TEXTS : NULL, (int64_t)w->texts.n};
    if (s) text_add_n(&w->texts, s, strlen(s) + 1);
    ARENA_PUSH(w->a, w->fields, w->n, w->cap, at);
}

/* The next field must be this one: keeps this file and the structs in step. (A btc runs on 64 bits, where every
 * field is a word.) */
static void at_field(const Writer *w, size_t offset, const char *name) {
    if ((size_t)(w->n - w->start) * 8 != offset) BTC_BUG("layout of %s", name);
}
#define AT(w, type, field) at_field(w, offsetof(type, field), #type "." #field)
#define INT(w, s, type, field) (AT(w, type, field), add_int(w, (int64_t)(s)->field))
#define TEXT(w, s, type, field) (AT(w, type, field), add_text(w, (s)->field))
#define ADDRESS(w, symbol, type, field) (AT(w, type, field), add_address(w, symbol))

static void begin(Writer *w) {
    w->start = w->n;
}

/* The table written so far, under a symbol; NULL when it is empty. */
static const char *end_table(Writer *w, const char *symbol) {
    int n = w->n;
    if (n) codegen_add_table(w->c, symbol, w->fields, n, false);
    w->n = w->start = 0;
    return n ? symbol : NULL;
}

static const char *add_slots(Writer *w, const btc_info *info) {
    for (int64_t k = 0; k < info->slot_count; k++) {
        const btc_slot *s = &info->slots[k];
        begin(w);
        TEXT(w, s, btc_slot, name);
        TEXT(w, s, btc_slot, dtype);
        TEXT(w, s, btc_slot, layout);
        INT(w, s, btc_slot, offset);
        INT(w, s, btc_slot, bytes);
        INT(w, s, btc_slot, rank);
        AT(w, btc_slot, dims);
        for (int i = 0; i < BTC_MAX_RANK; i++) add_int(w, s->dims[i]);
        at_field(w, sizeof *s, "btc_slot");
    }
    return end_table(w, "btc_artifact_slots");
}

static const char *add_probes(Writer *w, const btc_info *info) {
    for (int64_t k = 0; k < info->probe_count; k++) {
        add_text(w, info->probes[k].name);
        add_int(w, info->probes[k].width);
    }
    return end_table(w, "btc_artifact_probes");
}

static const char *add_eos_ids(Writer *w, const btc_info *info) {
    for (int64_t k = 0; k < info->eos_count; k++) add_int(w, info->eos_ids[k]);
    return end_table(w, "btc_artifact_eos_ids");
}

static const char *add_fills(Writer *w, const ArtifactSpec *s) {
    for (int64_t k = 0; k < s->fill_count; k++) {
        const btc_fill *f = &s->fills[k];
        begin(w);
        INT(w, f, btc_fill, offset);
        INT(w, f, btc_fill, bytes);
        INT(w, f, btc_fill, word);
        at_field(w, sizeof *f, "btc_fill");
    }
    return end_table(w, "btc_artifact_fills");
}

static const char *add_needs(Writer *w, const ArtifactSpec *s) {
    for (int64_t k = 0; k < s->need_count; k++) {
        const btc_need *n = &s->needs[k];
        begin(w);
        AT(w, btc_need, text);
        add_text(w,
                 arena_printf(w->a, "this machine lacks %s, which code for %s needs", n->text, s->info.cpu));
        INT(w, n, btc_need, word);
        INT(w, n, btc_need, bits);
        at_field(w, sizeof *n, "btc_need");
    }
    return end_table(w, "btc_artifact_needs");
}

static const char *add_regions(Writer *w, const ArtifactSpec *s) {
    for (int64_t k = 0; k < s->region_count; k++) {
        const btc_region *r = &s->regions[k];
        begin(w);
        INT(w, r, btc_region, offset);
        INT(w, r, btc_region, pieces);
        INT(w, r, btc_region, stride);
        INT(w, r, btc_region, unit);
        INT(w, r, btc_region, tokens);
        INT(w, r, btc_region, most);
        INT(w, r, btc_region, ahead);
        at_field(w, sizeof *r, "btc_region");
    }
    return end_table(w, "btc_artifact_regions");
}

/* Bytes of the fields so far where a pointer takes so many. */
static int64_t bytes_so_far(const Writer *w, int pointer_bytes) {
    int64_t at = 0;
    for (int i = 0; i < w->n; i++) {
        int64_t bytes = w->fields[i].pointer ? pointer_bytes : 8;
        at = (at + bytes - 1) / bytes * bytes + bytes;
    }
    return (at + 7) / 8 * 8;
}

static void add_info(Writer *w, const btc_info *i, const char *slots, const char *probes,
                     const char *eos_ids) {
    AT(w, btc_info, version), add_int(w, BTC_ABI_VERSION);
    AT(w, btc_info, size), add_int(w, sizeof(btc_info));
    TEXT(w, i, btc_info, name);
    TEXT(w, i, btc_info, target);
    TEXT(w, i, btc_info, cpu);
    INT(w, i, btc_info, kind);
    INT(w, i, btc_info, vocab);
    INT(w, i, btc_info, input_width);
    INT(w, i, btc_info, output_width);
    INT(w, i, btc_info, chunk);
    INT(w, i, btc_info, max_batch);
    INT(w, i, btc_info, context);
    INT(w, i, btc_info, state_bytes);
    INT(w, i, btc_info, work_shared);
    INT(w, i, btc_info, work_thread);
    INT(w, i, btc_info, layers);
    INT(w, i, btc_info, parameters);
    INT(w, i, btc_info, bos);
    INT(w, i, btc_info, eos);
    INT(w, i, btc_info, text);
    INT(w, i, btc_info, fingerprint);
    INT(w, i, btc_info, weights_bytes);
    INT(w, i, btc_info, slot_count);
    ADDRESS(w, slots, btc_info, slots);
    INT(w, i, btc_info, probe_count);
    ADDRESS(w, probes, btc_info, probes);
    INT(w, i, btc_info, eos_count);
    ADDRESS(w, eos_ids, btc_info, eos_ids);
    INT(w, i, btc_info, whole);
    at_field(w, sizeof *i, "btc_info");
    w->fields[offsetof(btc_info, size) / 8].value = bytes_so_far(w, w->pointer_bytes);
}

static void add_artifact(Writer *w, const ArtifactSpec *s, const char *weights_file) {
    const char *slots = add_slots(w, &s->info), *probes = add_probes(w, &s->info);
    const char *fills = add_fills(w, s), *regions = add_regions(w, s), *needs = add_needs(w, s);
    const char *eos_ids = add_eos_ids(w, &s->info), *weights = NULL;
    if (s->info.weights_bytes > 0 && !s->weights_in_file) {
        weights = "btc_weights";
        codegen_add_room(w->c, weights, s->info.weights_bytes, PAGE);
    }
    add_info(w, &s->info, slots, probes, eos_ids);
    AT(w, btc_artifact, fill_count), add_int(w, s->fill_count);
    ADDRESS(w, fills, btc_artifact, fills);
    AT(w, btc_artifact, region_count), add_int(w, s->region_count);
    ADDRESS(w, regions, btc_artifact, regions);
    ADDRESS(w, weights, btc_artifact, weights);
    AT(w, btc_artifact, weights_file), add_text(w, weights_file);
    INT(w, s, btc_artifact, weights_identity);
    ADDRESS(w, s->info.whole ? NULL : s->step ? s->step : "btc_entry_step", btc_artifact, step);
    ADDRESS(w, s->step_only ? NULL : s->chunk ? s->chunk : "btc_entry_chunk", btc_artifact, chunk);
    AT(w, btc_artifact, need_count), add_int(w, s->need_count);
    ADDRESS(w, needs, btc_artifact, needs);
    at_field(w, sizeof(btc_artifact), "btc_artifact");
    end_table(w, "btc_artifact_data");
    codegen_add_bytes(w->c, TEXTS, w->texts.s, w->texts.n, 1);
}

bool artifact_object(Diag *d, Arena *a, const ArtifactSpec *s, const TargetInfo *t, const char *weights_file,
                     const char *file) {
    artifact_check(s);
    Codegen *c = codegen_new(d, t, "artifact");
    if (!c) return false;
    Writer w = {.a = a, .pointer_bytes = t->pointer_bytes, .c = c, .texts = text_new(a)};
    add_artifact(&w, s, weights_file);
    bool ok = codegen_object(c, file);
    codegen_free(c);
    return ok;
}

bool artifact_weights_file(const ArtifactSpec *s, OutFile *o) {
    artifact_check(s);
    btc_weights_header h = {.magic = BTC_WEIGHTS_MAGIC, .version = BTC_WEIGHTS_VERSION};
    h.identity = s->weights_identity, h.bytes = (uint64_t)s->info.weights_bytes;
    return artifact_write_weights(s, o, sizeof h, &h.checksum) && out_write_at(o, 0, &h, sizeof h);
}

bool artifact_write_weights(const ArtifactSpec *s, OutFile *o, int64_t at, btc_checksum *sum) {
    if (s->info.weights_bytes == 0) return true;
    return s->write_weights(s->weights_user, o, at, sum) && !o->failed;
}
