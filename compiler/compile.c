#include "compile.h"

#include <string.h>

#include "btc_call.h"
#include "formats/arithmetic.h"
#include "kernels/cost_model.h"
#include "link/link.h"
#include "pack/compress.h"
#include "pack/identity.h"
#include "pack/packer.h"
#include "pack/sizes.h"
#include "passes/passes.h"
#include "report/schedule_json.h"
#include "tune/tune_file.h"

static const double USUAL_GHZ = 3;

static LowerTarget lower_target(const TargetInfo *t, const CompileOptions *o) {
    LowerTarget l = {.lanes = t->lanes, .vregs = t->registers};
    l.execution = t->target->execution;
    bool single = l.execution == EXECUTION_SINGLE;
    l.cache_line = t->cache_line, l.cache_way = t->cache_way, l.workers = t->workers;
    l.unit = t->cache_line / 4 > t->lanes ? t->cache_line / 4 : t->lanes;
    l.panel = l.unit;
    int64_t large = t->l2 ? t->l2 : t->l1;
    l.state_room = t->l1 / 2, l.weight_room = large / 4, l.value_room = large / 2;
    l.barrier_bytes = (int64_t)(t->barrier_ns * t->worker_bytes_per_ns);
    l.max_rows_step = o->max_batch ? o->max_batch : single ? 1 : DEFAULT_BATCH;
    l.f16_loads = t->f16;
    l.small = t->small, l.bf16_dots = t->bf16_dots, l.byte_dots = t->byte_dots,
    l.byte_tables = t->byte_tables;
    l.costs = t->costs, l.bytes_per_cycle = t->worker_bytes_per_ns / USUAL_GHZ;
    l.profile = o->profile;
    cost_model_choose(&l);
    return l;
}

bool compile_passes(Diag *d, Model *m, const PassOptions *o) {
    PassWeights weights = model_pass_weights(m);
    PassOptions with = *o;
    with.weights = &weights;
    return run_passes(d, m->module, &with);
}

static bool state_type(Diag *d, const CompileOptions *o, DType *out) {
    static const char *const names[] = {"f32", "bf16", "f16"};
    *out = DT_F32;
    for (int i = 0; o->state && i < 3; i++)
        if (!strcmp(o->state, names[i])) return dtype_parse(o->state, out);
    return !o->state || diag_usage(d, (Loc){0}, "--state=%s: must be f32, bf16 or f16%s", o->state,
                                   diag_did_you_mean(d->arena, o->state, names, 3));
}

/* One of two words; NULL is neither. */
static bool one_of_two(Diag *d, const char *option, const char *word, const char *first, const char *second) {
    const char *const words[] = {first, second};
    return !word || !strcmp(word, first) || !strcmp(word, second) ||
           diag_usage(d, (Loc){0}, "--%s=%s: must be %s or %s%s", option, word, first, second,
                      diag_did_you_mean(d->arena, word, words, 2));
}

static bool step_only(const CompileOptions *o) {
    return o->forms && !strcmp(o->forms, "step");
}

/* What is small is worth more than what is fast where code has no room to grow in. */
static bool optimizes_size(const CompileOptions *o, const Target *t) {
    return o->optimize ? !strcmp(o->optimize, "size") : t->execution == EXECUTION_SINGLE;
}

static bool check_forms(Diag *d, const CompileOptions *o) {
    return one_of_two(d, "forms", o->forms, "all", "step") &&
           one_of_two(d, "optimize", o->optimize, "speed", "size") &&
           (!step_only(o) || o->chunk <= 1 ||
            diag_usage(d, (Loc){0}, "--chunk=%d: with --forms=step there are no chunks; leave it out",
                       o->chunk));
}

/* A model that reads whole sequences has a chunk for the longest one, and nothing else. */
static bool take_whole(Diag *d, const Model *m, const CompileOptions *o, Compiled *c) {
    const Op *whole = m ? whole_reader(m->module) : NULL;
    if (!whole) return true;
    int64_t longest = model_longest(m);
    if (step_only(o))
        return diag_usage(d, whole->loc,
                          "--forms=step: the model has no step: %s needs whole sequences; leave it out",
                          whole->def->name);
    if (longest < 1 || longest > INT32_MAX)
        return diag_error(d, whole->loc,
                          "%s needs whole sequences, and so the longest one, of at most %d tokens",
                          whole->def->name, INT32_MAX);
    c->lower.tuning.chunk = c->lower.chunk = (int)longest;
    c->lower.max_rows_step = 1;
    return true;
}

/* Parameters of the caller, or of a file, or of the cost model; --chunk goes before all. */
static bool choose_tuning(Diag *d, const Model *model, const CompileOptions *o, Compiled *c) {
    LowerTarget *l = &c->lower;
    l->tuning = o->tuning ? *o->tuning : l->defaults.tuning;
    if (l->execution == EXECUTION_SINGLE && !o->tuning) l->tuning.chunk = SINGLE_CHUNK;
    TuneModel of = {0};
    if (model) of = (TuneModel){model->path, model->module->name, model->shape};
    if (model && !o->tuning &&
        !tune_file_choose(d, &of, o->tuning_file, &c->target, &l->tuning, &c->tuning_from))
        return false;
    if (o->chunk) l->tuning.chunk = o->chunk;
    if (step_only(o)) l->tuning.chunk = 1;
    l->chunk = l->tuning.chunk;
    return true;
}

bool compile_target(Diag *d, const CompileOptions *o, TargetInfo *out) {
    if (!o->gpu) return target_select(d, o->target, o->cpu, out);
    if (o->cpu) return diag_usage(d, (Loc){0}, "--cpu and --gpu: one of them names the machine's model");
    if (!target_select(d, o->target, NULL, out)) return false;
    if (strcmp(out->target->isa->cpu_flag, "--gpu"))
        return diag_usage(d, (Loc){0}, "--gpu=%s: is for --target=nvptx64; a model of %s is named by %s",
                          o->gpu, out->target->name, out->target->isa->cpu_flag);
    return target_select(d, o->target, o->gpu, out);
}

bool compile_machine(Diag *d, const Model *model, const CompileOptions *o, Compiled *c) {
    *c = (Compiled){0};
    if (!check_forms(d, o) || !compile_target(d, o, &c->target)) return false;
    c->target.small = optimizes_size(o, c->target.target);
    c->lower = lower_target(&c->target, o);
    return state_type(d, o, &c->lower.state_dt) && choose_tuning(d, model, o, c) &&
           take_whole(d, model, o, c);
}

static void say_tuning(Arena *a, const Compiled *c) {
    Tuning cost_model = c->lower.defaults.tuning;
    const char *changes = tune_changes(a, &c->lower.tuning, &cost_model);
    fprintf(stderr, "%s: its parameters are used: %s (--tuning=none leaves it out)\n", c->tuning_from,
            *changes ? changes : "those of the cost model");
}

/* int8 stands for bf16, too; a CPU with dot products of bf16 has those of bytes. */
static bool choose_math(Diag *d, const CompileOptions *o, const Compiled *c, const Arithmetic **math) {
    if (!o->math) return *math = c->lower.defaults.blocks, true;
    if (!(*math = arithmetic_find(o->math)))
        return diag_usage(d, (Loc){0}, "--math=%s: must be f32, bf16 or int8", o->math);
    return *math != &arithmetic_bf16 || c->target.bf16_dots ||
           diag_usage(d, (Loc){0},
                      "--math=bf16: %s has no dot products of bf16; leave it out, or choose a CPU that "
                      "has (cooperlake, sapphirerapids, znver4 and later)",
                      c->target.cpu);
}

static bool set_math(Diag *d, Model *m, const CompileOptions *o, const Compiled *c) {
    const Arithmetic *math;
    if (!choose_math(d, o, c, &math)) return false;
    bool gains = c->lower.defaults.bf16 == &arithmetic_bf16;
    attr_set(m->arena, &m->module->attrs, (Attr){.name = "math", .kind = AT_STR, .s = math->name});
    attr_set(m->arena, &m->module->attrs, (Attr){.name = "bf16_dots", .kind = AT_BOOL, .i = gains});
    return true;
}

bool compile_on_purpose(Diag *d, Model *m, const CompileOptions *o) {
    Compiled c;
    if (!compile_machine(d, NULL, o, &c) || !set_math(d, m, o, &c)) return false;
    PassOptions p = o->passes;
    p.step_only = step_only(o), p.chunk_only = whole_reader(m->module) != NULL;
    p.stop_after = pass_choose_math.name, p.print_after = NULL, p.time = false, p.distill_quietly = true;
    return compile_passes(d, m, &p);
}

static bool check_compress(Diag *d, const CompileOptions *o, const TargetInfo *t) {
    static const char *const words[] = {"yes", "no"};
    bool yes = o->compress && !strcmp(o->compress, "yes");
    if (o->compress && !yes && strcmp(o->compress, "no"))
        return diag_usage(d, (Loc){0}, "--compress=%s: must be yes or no%s", o->compress,
                          diag_did_you_mean(d->arena, o->compress, words, 2));
    return !yes || t->byte_tables ||
           diag_usage(d, (Loc){0},
                      "--compress=yes: %s cannot look up bytes of a vector in a table; leave it out", t->cpu);
}

/* What is asked for as -o. */
static bool check_output(Diag *d, const CompileOptions *o, const TargetInfo *t) {
    if (o->passes.stop_after && (!o->emit || strcmp(o->emit, "ir")))
        return diag_usage(d, (Loc){0}, "--stop-after: there is only IR in the middle; add --emit=ir");
    bool object = o->emit && !strcmp(o->emit, "object");
    if (object && (!o->output || !strcmp(o->output, "-")))
        return diag_usage(d, (Loc){0}, "--emit=object: where to? add -o FILE");
    if (object && !t->target->linked)
        return diag_usage(d, (Loc){0}, "--emit=object: there are no objects for %s; use --emit=asm",
                          t->target->name);
    if (o->emit || !o->output) return out_check(d, o->output);
    if (!t->target->linked)
        return diag_error(
            d, (Loc){.file = o->output},
            "nothing can be linked for %s; add --emit=asm for the text that its driver takes, one "
            "kernel per stage",
            t->target->name);
    LinkKind kind;
    if (!link_kind(o->output, &kind))
        return diag_usage(d, (Loc){.file = o->output},
                          "cannot tell from this name what to make; use a name that ends "
                          "in .so, .a, .o or .h, or has no dot (a program)");
    if (!t->target->loader && kind == LINK_SHARED)
        return diag_usage(d, (Loc){.file = o->output},
                          "there are no shared libraries for %s; make a .o, a .a or a program",
                          t->target->name);
    if (!t->target->loader && o->weights_in_file)
        return diag_usage(d, (Loc){.file = o->output},
                          "--weights=file: code for %s reads no files; leave it out", t->target->name);
    bool side = o->weights_in_file && kind != LINK_HEADER;
    return out_check(d, o->output) &&
           (!side || out_check(d, arena_printf(d->arena, "%s.weights", o->output)));
}

bool compile_check(Diag *d, const CompileOptions *o) {
    Compiled c;
    const Arithmetic *math;
    return check_pass_names(d, &o->passes) && check_form_names(d, &o->passes) &&
           compile_machine(d, NULL, o, &c) && choose_math(d, o, &c, &math) &&
           check_compress(d, o, &c.target) && check_output(d, o, &c.target);
}

/* Formats that take fewer bytes without loss, where that makes the model faster. */
static bool compress(Diag *d, Model *m, const CompileOptions *o, const Compiled *c) {
    bool yes = o->compress ? !strcmp(o->compress, "yes") : c->lower.defaults.gain_of_compressing > 1;
    return !yes || compress_weights(d, m, &c->lower);
}

bool compile_lower(Diag *d, Model *m, const CompileOptions *o, Compiled *c) {
    if (m->lowered)
        return diag_error(
            d, (Loc){.file = m->path},
            "the model was compiled before, rightly or not; to compile it again, open it again");
    if (!compile_machine(d, m, o, c)) return false;
    if (c->tuning_from && !o->quiet) say_tuning(d->arena, c);
    if (o->chunk && o->chunk != c->lower.chunk && !o->quiet)
        diag_note(
            d, (Loc){.file = m->path},
            "reads whole sequences: a chunk is the longest one, %d tokens (\"context\" of the description), "
            "whatever --chunk says",
            c->lower.chunk);
    if (!set_math(d, m, o, c) || !check_compress(d, o, &c->target)) return false;
    PassOptions passes = o->passes;
    passes.machine = &c->lower;
    passes.step_only = step_only(o), passes.chunk_only = whole_reader(m->module) != NULL;
    m->lowered = true;
    if (!compile_passes(d, m, &passes)) return false;
    if (o->passes.stop_after) return true;
    if (!sizes_check_values(d, m, o, c) || !compress(d, m, o, c) ||
        !lower_module(d, m->module, &c->lower, &c->lowered) || !sizes_check_blocks(d, m, o, c))
        return false;
    for (Func *f = c->lowered.loops->first; f; f = f->next) expand_math(f);
    return true;
}

/* ---- facts for the runtime ---- */

static const Func *main_of(const Model *m) {
    return ir_func_find(m->module, "main");
}

static int64_t module_int(const Model *m, const char *name, int64_t otherwise) {
    const Attr *t = attr_find(m->module->attrs, name);
    if (!t) return otherwise;
    return t->kind == AT_INT || t->kind == AT_BOOL ? t->i : otherwise;
}

/* The ids of an attribute, each once; eos is the first of them. */
static void fill_ends(const Model *m, btc_info *info) {
    const Attr *t = attr_find(m->module->attrs, "eos");
    const int64_t *ids = !t ? NULL : t->kind == AT_INTS ? t->ints : &t->i;
    int n = !t ? 0 : t->kind == AT_INTS ? (int)t->n : 1, kept = 0;
    int64_t *out = ARENA_ARRAY(m->arena, int64_t, n + 1);
    for (int i = 0; i < n; i++) {
        int k = 0;
        while (k < kept && out[k] != ids[i]) k++;
        if (k == kept) out[kept++] = ids[i];
    }
    info->eos = kept ? out[0] : -1;
    info->eos_count = kept, info->eos_ids = out;
}

/* The four bytes that a slot repeats before the first token. */
static uint32_t start_word(DType dt, double x) {
    uint32_t word = 0;
    for (int i = 0; i < 4 / (int)dtype_size(dt); i++) dtype_store(dt, &word, i, x);
    return word;
}

typedef struct Regions {
    btc_region *all;
    int n, cap;
} Regions;

/* Parts that are always in use are one region with what lies before them. */
static void add_region(Arena *a, Regions *r, const FuncPlan *p, int k, const LowerTarget *t,
                       const btc_slot *slot) {
    StateUse use;
    btc_region *last = r->n ? &r->all[r->n - 1] : NULL, one = {.offset = slot->offset, .pieces = 1};
    if (!state_slot_use(p, k, t, &use)) {
        if (last && !last->tokens && last->offset + last->unit == slot->offset) {
            last->unit += slot->bytes;
            return;
        }
        one.unit = one.stride = slot->bytes;
    } else {
        int64_t size = (int64_t)dtype_size(state_slot_dtype(p, k, t));
        one.pieces = use.pieces, one.stride = state_slot_elements(p, k, t) / use.pieces * size;
        one.unit = use.elements * size, one.tokens = use.tokens, one.most = use.most, one.ahead = use.ahead;
    }
    if (one.unit) ARENA_PUSH(a, r->all, r->n, r->cap, one);
}

static void fill_slots(const Model *m, const Compiled *c, ArtifactSpec *spec) {
    Arena *a = m->arena;
    const Schedule *of = &c->lowered.schedule;
    btc_slot *slots = NULL;
    btc_fill *fills = NULL;
    Regions regions = {0};
    int n = 0, cap = 0, nfills = 0, fills_cap = 0;
    for (int i = 0; i < of->ncalls; i++) {
        const BlockCall *call = &of->calls[i];
        const FuncPlan *p = call->plan;
        for (int k = 0; k < p->f->nstates; k++) {
            const State *s = &p->f->states[k];
            DType dt = state_slot_dtype(p, k, &c->lower);
            btc_slot slot = {.dtype = dtype_name(dt), .rank = s->type.rank};
            slot.name =
                call->layer < 0 ? s->name : arena_printf(a, "%lld.%s", (long long)call->layer, s->name);
            slot.layout = "as compiled";
            slot.offset = BTC_STATE_HEADER + call->state + p->state_offset[k];
            int64_t end = k + 1 < p->f->nstates ? p->state_offset[k + 1] : p->state_bytes;
            slot.bytes = end - p->state_offset[k];
            for (int r = 0; r < s->type.rank; r++) slot.dims[r] = s->type.dim[r];
            ARENA_PUSH(a, slots, n, cap, slot);
            uint32_t word = start_word(dt, s->init);
            btc_fill fill = {.offset = slot.offset, .bytes = slot.bytes, .word = word};
            if (word) ARENA_PUSH(a, fills, nfills, fills_cap, fill);
            add_region(a, &regions, p, k, &c->lower, &slot);
        }
    }
    spec->info.slots = slots, spec->info.slot_count = n;
    spec->fills = fills, spec->fill_count = nfills;
    spec->regions = regions.all, spec->region_count = regions.n;
}

static void fill_probes(const Model *m, const Schedule *s, btc_info *info) {
    const Func *f = main_of(m);
    btc_probe *probes = ARENA_ARRAY(m->arena, btc_probe, s->noutputs);
    for (int i = 1; i < f->nresults; i++)
        probes[i - 1] =
            (btc_probe){f->result_names[i] ? f->result_names[i] : "", type_count(f->results[i]->type)};
    info->probes = probes, info->probe_count = f->nresults - 1;
}

static int64_t count_parameters(const Model *m) {
    int64_t n = 0;
    for (int i = 0; i < m->weights.n; i++)
        if (m->weights.tensors[i].used) n += raw_tensor_count(&m->weights.tensors[i]);
    return n;
}

static void fill_needs(Arena *a, const TargetInfo *t, ArtifactSpec *s) {
    btc_need *needs = ARENA_ARRAY(a, btc_need, MAX_TARGET_NEEDS);
    for (int i = 0; i < MAX_TARGET_NEEDS; i++) {
        const TargetNeed *row = &t->target->isa->needs[i];
        if (t->needs >> i & 1) needs[s->need_count++] = (btc_need){row->feature, row->word, row->bits};
    }
    s->needs = needs;
}

static ArtifactSpec make_spec(const Model *m, const CompileOptions *o, const Compiled *c, Packer *packer) {
    const Func *f = main_of(m);
    const Schedule *l = &c->lowered.schedule;
    const Attr *kind = attr_find(m->module->attrs, "kind"), *text = attr_find(m->module->attrs, "text");
    bool tokens = !kind || strcmp(kind->s, "features");
    ArtifactSpec s = {.write_weights = packer_write, .weights_user = packer};
    s.step_only = step_only(o);
    s.weights_in_file = o->weights_in_file, s.weights_file = o->weights_file;
    s.info = (btc_info){
        .name = o->name ? o->name : m->module->name,
        .target = c->target.target->name,
        .cpu = c->target.cpu,
        .kind = tokens ? BTC_TOKENS : BTC_FEATURES,
        .vocab = tokens ? module_int(m, "vocab", 0) : 0,
        .input_width = tokens ? 1 : type_count(f->params[0]->type),
        .output_width = type_count(f->results[0]->type),
        .chunk = c->lower.chunk,
        .max_batch = c->lower.max_rows_step,
        .context = model_longest(m),
        .state_bytes = (BTC_STATE_HEADER + l->state_bytes + 63) / 64 * 64,
        .work_shared = l->shared_bytes,
        .work_thread = l->worker_bytes,
        .layers = l->ncalls - 1,
        .parameters = count_parameters(m),
        .bos = module_int(m, "bos", -1),
        .text = text && text->s && !strcmp(text->s, "bytes") ? BTC_TEXT_BYTES : BTC_TEXT_NONE,
        .weights_bytes = l->weight_bytes,
        .whole = schedule_main(l, FORM_STEP) == NULL,
    };
    fill_ends(m, &s.info);
    fill_needs(m->arena, &c->target, &s);
    fill_slots(m, c, &s);
    Identity id = identity_of(m, c);
    s.info.fingerprint = id.states, s.weights_identity = id.weights;
    fill_probes(m, l, &s.info);
    int64_t probes = s.info.probe_count * c->target.pointer_bytes;
    if (c->lower.execution == EXECUTION_SINGLE)
        s.work_bytes = BTC_LABEL_SINGLE + (probes + BTC_ALIGN - 1) / BTC_ALIGN * BTC_ALIGN +
                       s.info.work_shared + s.info.work_thread;
    return s;
}

/* ---- machine code ---- */

/* stages: their functions are for a launcher outside, and what runs them is left out. */
static Codegen *generate(Diag *d, const Compiled *c, bool stages) {
    Codegen *g = codegen_new(d, &c->target, c->lowered.loops->name);
    for (const Func *f = c->lowered.loops->first; f; f = f->next) {
        bool stage = stages && attr_find(f->attrs, "stage");
        if (stages && !stage && !attr_find(f->attrs, "helper")) continue;
        if (!codegen_add(g, f, stage || attr_find(f->attrs, "export"))) {
            codegen_free(g);
            return NULL;
        }
    }
    return g;
}

bool write_text(Diag *d, Arena *a, const char *output, const char *text, size_t n) {
    if (!output || !strcmp(output, "-")) return fwrite(text, 1, n, stdout) == n;
    OutFile o;
    if (!out_open(d, a, output, &o)) return false;
    out_write(&o, text, n);
    return out_commit(&o, false);
}

static bool emit_text(Diag *d, Model *m, const CompileOptions *o, const Compiled *c) {
    Arena *a = m->arena;
    Text t = text_new(a);
    if (!strcmp(o->emit, "ir"))
        text_add(&t, "%s", ir_print_module(a, m->module));
    else if (!strcmp(o->emit, "loops"))
        text_add(&t, "%s", ir_print_module(a, c->lowered.loops));
    else if (!strcmp(o->emit, "stages"))
        for (int i = 0; i < c->lowered.schedule.plans.n; i++)
            text_add(&t, "%s\n", plan_print(a, c->lowered.schedule.plans.plans[i]));
    else if (!strcmp(o->emit, "schedule"))
        text_add(&t, "%s\n", schedule_json(a, m->module, c));
    else {
        Codegen *g = generate(d, c, c->lower.execution == EXECUTION_GRID);
        if (!g) return false;
        char *s = NULL;
        size_t n = 0;
        bool ok = !strcmp(o->emit, "llvm") ? codegen_llvm_text(g, &s, &n) : codegen_assembly_text(g, &s, &n);
        codegen_free(g);
        return ok && write_text(d, a, o->output, s, n);
    }
    return write_text(d, a, o->output, t.s, t.n);
}

static bool make_object(Diag *d, const CompileOptions *o, const Compiled *c, const char *file) {
    progress_phase(d->progress, "generating machine code", 0);
    Codegen *g = generate(d, c, o->emit != NULL);
    bool ok = g && codegen_object(g, file);
    if (ok && o->passes.time) fprintf(stderr, "%8.3f ms  LLVM\n", 1e3 * codegen_seconds(g));
    codegen_free(g);
    progress_done(d->progress);
    return ok;
}

/* --emit=object: the stage functions. */
static bool emit_object(Diag *d, Model *m, const CompileOptions *o, const Compiled *c) {
    LinkFolder folder;
    FileMap map;
    if (!link_folder_open(d, m->arena, o->output, &folder)) return false;
    const char *object = arena_printf(m->arena, "%s/stages.o", folder.path);
    bool ok = make_object(d, o, c, object) && file_map(d, object, &map);
    if (ok) {
        ok = write_text(d, m->arena, o->output, (const char *)map.data, map.size);
        file_unmap(&map);
    }
    link_folder_remove(&folder);
    return ok;
}

static bool emit(Diag *d, Model *m, const CompileOptions *o, const Compiled *c) {
    return strcmp(o->emit, "object") ? emit_text(d, m, o, c) : emit_object(d, m, o, c);
}

/* What a processor without an operating system must have room for. */
static void say_memory(const ArtifactSpec *s) {
    fprintf(stderr,
            "%s: RAM: %lld bytes of state for each sequence, %lld bytes of work; weights: %lld bytes\n",
            s->info.name, (long long)s->info.state_bytes, (long long)s->work_bytes,
            (long long)s->info.weights_bytes);
}

/* A side file of an earlier artefact of this name, which nothing reads any more. */
static void name_left_over(Diag *d, const CompileOptions *o, LinkKind kind) {
    const char *side = arena_printf(d->arena, "%s.weights", o->output);
    if (!o->weights_in_file && kind != LINK_HEADER && file_exists(side))
        diag_note(d, (Loc){.file = side},
                  "is left from before and not used: the weights are in %s; delete it", o->output);
}

/* All of an artefact but what options have decided. */
static bool make_artifact(Diag *d, Model *m, const CompileOptions *o, const Compiled *c) {
    Packer packer = {d, m, &c->lowered.schedule, &c->lower};
    ArtifactSpec spec = make_spec(m, o, c, &packer);
    LinkJob job = {.output = o->output, .target = &c->target, .spec = &spec, .threads = o->threads};
    LinkFolder folder;
    if (!link_kind(o->output, &job.kind)) BTC_BUG("%s: not checked", o->output);
    if (job.kind == LINK_HEADER) return link_artifact(d, &job);
    if (!link_folder_open(d, m->arena, o->output, &folder)) return false;
    const char *object = arena_printf(m->arena, "%s/model.o", folder.path);
    job.objects = &object, job.object_count = 1;
    bool ok = make_object(d, o, c, object) && link_artifact(d, &job);
    link_folder_remove(&folder);
    if (ok && spec.work_bytes && !o->quiet) say_memory(&spec);
    if (ok) name_left_over(d, o, job.kind);
    return ok;
}

bool compile_artifact(Diag *d, Model *m, const CompileOptions *o, Compiled *c) {
    if (o->emit && !strcmp(o->emit, "description"))
        return write_text(d, m->arena, o->output, m->description, m->description_size);
    if (!compile_check(d, o)) return false;
    progress_phase(d->progress, "compiling", 0);
    bool ok = compile_lower(d, m, o, c) && (o->emit ? emit(d, m, o, c) : make_artifact(d, m, o, c));
    progress_done(d->progress);
    return ok;
}
