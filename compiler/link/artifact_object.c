/* The data object of an artefact: btc_artifact_data as a row of words, its texts and tables, the place of the
 * weights. Words are either numbers or addresses that the linker fills in; kernels never name the weights. */
#include <string.h>

#include "artifact_spec.h"
#include "elf_object.h"

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

/* Writing one struct after another, field by field, into `data`; texts go to `texts`. */
typedef struct Writer {
    ElfObject e;
    int data, texts;
    int texts_symbol;
    uint64_t start; /* of the struct being written, to check offsets */
} Writer;

static void add_text(Writer *w, const char *s) {
    if (!s) {
        elf_add_word(&w->e, w->data, 0);
        return;
    }
    uint64_t at = elf_add(&w->e, w->texts, s, strlen(s) + 1);
    elf_add_address(&w->e, w->data, w->texts_symbol, at);
}

static void add_int(Writer *w, int64_t v) {
    elf_add_word(&w->e, w->data, (uint64_t)v);
}

/* The next word must be this field: keeps this file and the structs in step. */
static void at_field(const Writer *w, uint64_t offset, const char *name) {
    if (elf_end(&w->e, w->data) - w->start != offset) BTC_BUG("layout of %s", name);
}
#define AT(w, type, field) at_field(w, offsetof(type, field), #type "." #field)
#define INT(w, s, type, field) (AT(w, type, field), add_int(w, (int64_t)(s)->field))
#define TEXT(w, s, type, field) (AT(w, type, field), add_text(w, (s)->field))

/* A table before the struct that points to it: its offset in `data`. */
static uint64_t begin(Writer *w) {
    return w->start = elf_end(&w->e, w->data);
}

static uint64_t add_slots(Writer *w, const btc_info *info) {
    uint64_t at = begin(w);
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
    return at;
}

static uint64_t add_taps(Writer *w, const btc_info *info) {
    uint64_t at = begin(w);
    for (int64_t k = 0; k < info->tap_count; k++) {
        add_text(w, info->taps[k].name);
        add_int(w, info->taps[k].width);
    }
    return at;
}

static uint64_t add_eos_ids(Writer *w, const btc_info *info) {
    uint64_t at = begin(w);
    for (int64_t k = 0; k < info->eos_count; k++) add_int(w, info->eos_ids[k]);
    return at;
}

static uint64_t add_fills(Writer *w, const ArtifactSpec *s) {
    uint64_t at = begin(w);
    for (int64_t k = 0; k < s->fill_count; k++) {
        const btc_fill *f = &s->fills[k];
        begin(w);
        INT(w, f, btc_fill, offset);
        INT(w, f, btc_fill, bytes);
        INT(w, f, btc_fill, word);
        at_field(w, sizeof *f, "btc_fill");
    }
    return at;
}

static uint64_t add_needs(Writer *w, Arena *a, const ArtifactSpec *s) {
    uint64_t at = begin(w);
    for (int64_t k = 0; k < s->need_count; k++) {
        const btc_need *n = &s->needs[k];
        begin(w);
        AT(w, btc_need, text);
        add_text(w, arena_printf(a, "this machine lacks %s, which code for %s needs", n->text, s->info.cpu));
        INT(w, n, btc_need, word);
        INT(w, n, btc_need, bits);
        at_field(w, sizeof *n, "btc_need");
    }
    return at;
}

static uint64_t add_regions(Writer *w, const ArtifactSpec *s) {
    uint64_t at = begin(w);
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
    return at;
}

static void add_info(Writer *w, const btc_info *i, int data_symbol, uint64_t slots, uint64_t taps,
                     uint64_t eos_ids) {
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
    AT(w, btc_info, slots), elf_add_address(&w->e, w->data, data_symbol, slots);
    INT(w, i, btc_info, tap_count);
    AT(w, btc_info, taps), elf_add_address(&w->e, w->data, data_symbol, taps);
    INT(w, i, btc_info, eos_count);
    AT(w, btc_info, eos_ids), elf_add_address(&w->e, w->data, data_symbol, eos_ids);
    at_field(w, sizeof *i, "btc_info");
}

/* The weights' section: far from everything else, since nothing reaches it by a short distance. */
static int add_weights(Writer *w, const ArtifactSpec *s) {
    uint64_t size = (uint64_t)s->info.weights_bytes;
    uint64_t flags = SHF_ALLOC | (w->e.machine == EM_X86_64 ? ELF_X86_64_LARGE : 0u);
    int section = elf_section_empty(&w->e, elf_weights_section(w->e.machine), flags, PAGE, size);
    return elf_symbol(&w->e, "btc_weights", section, 0, size, STT_OBJECT, STV_HIDDEN);
}

static Writer new_writer(Arena *a, uint16_t machine) {
    Writer w = {.e = elf_new(a, machine, ET_REL)};
    w.data = elf_section(&w.e, ".data.rel.ro", SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, 16);
    w.texts = elf_section(&w.e, ".rodata.btc", SHT_PROGBITS, SHF_ALLOC, 1);
    w.texts_symbol = elf_symbol(&w.e, "btc_artifact_texts", w.texts, 0, 0, STT_OBJECT, STV_HIDDEN);
    return w;
}

bool artifact_object(Diag *d, Arena *a, const ArtifactSpec *s, const char *target, const char *weights_file,
                     const char *file) {
    artifact_check(s);
    Writer w = new_writer(a, elf_machine(target));
    int tables = elf_symbol(&w.e, "btc_artifact_tables", w.data, 0, 0, STT_OBJECT, STV_HIDDEN);
    int step =
        elf_symbol(&w.e, s->step ? s->step : "btc_entry_step", ELF_UNDEFINED, 0, 0, STT_NOTYPE, STV_HIDDEN);
    int chunk = elf_symbol(&w.e, s->chunk ? s->chunk : "btc_entry_chunk", ELF_UNDEFINED, 0, 0, STT_NOTYPE,
                           STV_HIDDEN);
    uint64_t slots = add_slots(&w, &s->info), taps = add_taps(&w, &s->info), fills = add_fills(&w, s);
    uint64_t regions = add_regions(&w, s), needs = add_needs(&w, a, s);
    uint64_t eos_ids = add_eos_ids(&w, &s->info);

    uint64_t at = begin(&w);
    elf_symbol(&w.e, "btc_artifact_data", w.data, at, sizeof(btc_artifact), STT_OBJECT, STV_HIDDEN);
    add_info(&w, &s->info, tables, slots, taps, eos_ids);
    AT(&w, btc_artifact, fill_count), add_int(&w, s->fill_count);
    AT(&w, btc_artifact, fills), elf_add_address(&w.e, w.data, tables, fills);
    AT(&w, btc_artifact, region_count), add_int(&w, s->region_count);
    AT(&w, btc_artifact, regions), elf_add_address(&w.e, w.data, tables, regions);
    AT(&w, btc_artifact, weights);
    if (s->info.weights_bytes > 0 && !s->weights_in_file)
        elf_add_address(&w.e, w.data, add_weights(&w, s), 0);
    else
        add_int(&w, 0);
    AT(&w, btc_artifact, weights_file), add_text(&w, weights_file);
    INT(&w, s, btc_artifact, weights_identity);
    AT(&w, btc_artifact, step), elf_add_address(&w.e, w.data, step, 0);
    AT(&w, btc_artifact, chunk), elf_add_address(&w.e, w.data, chunk, 0);
    AT(&w, btc_artifact, need_count), add_int(&w, s->need_count);
    AT(&w, btc_artifact, needs), elf_add_address(&w.e, w.data, tables, needs);
    at_field(&w, sizeof(btc_artifact), "btc_artifact");

    OutFile o;
    if (!out_open(d, a, file, &o)) return false;
    if (elf_write(&w.e, &o)) return out_commit(&o, false);
    out_abandon(&o);
    return false;
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
