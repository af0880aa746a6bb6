/* See schedule_json.h. */
#include "schedule_json.h"

#include <stddef.h>

#include "btc_call.h"
#include "desc/json.h"
#include "report.h"
#include "runtime/artifact.h"

static cJSON *add_text(cJSON *o, const char *key, const char *text) {
    return cJSON_AddStringToObject(o, key, text);
}

static void add_int(cJSON *o, const char *key, int64_t v) {
    cJSON_AddNumberToObject(o, key, (double)v);
}

static void append_int(cJSON *list, int64_t v) {
    cJSON_AddItemToArray(list, cJSON_CreateNumber((double)v));
}

/* ---- values ---- */

/* The values of a plan that lie in memory, numbered in the order in which they are made. */
typedef struct Values {
    const FuncPlan *p;
    const Value **v;
    int n, cap;
} Values;

static void add_value(Values *l, const Value *v) {
    const ValueInfo *i = value_info(v);
    if (i && i->space != SPACE_NONE) ARENA_PUSH(l->p->arena, l->v, l->n, l->cap, v);
}

static Values values_of(const FuncPlan *p) {
    Values l = {.p = p};
    for (int i = 0; i < p->f->nparams; i++) add_value(&l, p->f->params[i]);
    for (int k = 0; k < p->n; k++) {
        const Stage *s = p->stages[k];
        for (int i = 0; s->anchor && !s->deferred_store && i < s->anchor->nout; i++)
            add_value(&l, s->anchor->out[i]);
        for (int i = 0; !s->deferred_store && i < s->nepilogue; i++) add_value(&l, s->epilogue[i]->out[0]);
    }
    return l;
}

static int value_number(const Values *l, const Value *v) {
    for (int i = 0; i < l->n; i++)
        if (l->v[i] == v) return i;
    return -1;
}

static void append_value(const Values *l, cJSON *list, const Value *v) {
    int i = value_number(l, v);
    if (i >= 0) append_int(list, i);
}

static cJSON *value_json(const FuncPlan *p, const Value *v) {
    static const char *const spaces[] = {[SPACE_SHARED] = "shared",
                                         [SPACE_WORKER] = "worker",
                                         [SPACE_ARGUMENT] = "argument",
                                         [SPACE_INPUT] = "input",
                                         [SPACE_OUTPUT] = "output"};
    const ValueInfo *i = value_info(v);
    bool probe = i->space == SPACE_OUTPUT && i->io > 0;
    cJSON *o = cJSON_CreateObject();
    add_text(o, "name", v->name);
    add_text(o, "dtype", dtype_name(v->type.dt));
    add_int(o, "width", type_count(v->type));
    add_int(o, "row_bytes", i->stride * 4);
    add_text(o, "space", probe ? "probe" : spaces[i->space]);
    if (i->space == SPACE_SHARED) add_int(o, "offset", p->shared_base + i->offset);
    if (i->space == SPACE_WORKER) add_int(o, "offset", p->worker_base + i->offset);
    if (i->space == SPACE_ARGUMENT) add_int(o, "argument", i->io);
    if (probe) add_int(o, "probe", i->io - 1);
    return o;
}

/* ---- stages ---- */

static void add_work_shape(cJSON *o, const Stage *s) {
    Sharing sharing = stage_sharing(s);
    add_text(o, "sharing", sharing_name(sharing));
    if (sharing == SHARE_UNITS) {
        add_int(o, "shares", s->shares);
        add_int(o, "units", s->units);
        add_int(o, "unit_elements", s->grain);
    }
    if (s->out_rows) cJSON_AddTrueToObject(o, "output_rows_only");
    if (s->once) cJSON_AddTrueToObject(o, "first_row_only");
}

static void add_memory(cJSON *o, const Values *values, FuncPlan *p, const Stage *s) {
    Read *read;
    int n = stage_reads(p, s, &read);
    cJSON *reads = cJSON_AddArrayToObject(o, "reads"), *writes = cJSON_AddArrayToObject(o, "writes");
    for (int i = 0; i < n; i++) append_value(values, reads, read[i].v);
    for (int i = 0; s->anchor && !s->deferred_store && i < s->anchor->nout; i++)
        append_value(values, writes, s->anchor->out[i]);
    for (int i = 0; !s->deferred_store && i < s->nepilogue; i++)
        append_value(values, writes, s->epilogue[i]->out[0]);
    cJSON *weights = cJSON_AddArrayToObject(o, "weights"), *states = cJSON_AddArrayToObject(o, "states");
    for (int i = 0; i < s->nweights; i++) append_int(weights, s->weights[i]);
    for (int k = 0, slot; k < p->f->nstates; k++)
        if (s->anchor && state_slot_owner(p->f, k, &slot) == s->anchor) append_int(states, k);
    add_int(o, "scratch_bytes", s->scratch_bytes);
}

static void add_call(cJSON *o, const Values *values, const Stage *s) {
    add_int(o, "call", s->call);
    add_text(o, "plan", s->callee->function);
    cJSON *args = cJSON_AddArrayToObject(o, "arguments");
    for (int i = 0; i < s->anchor->nin; i++) append_value(values, args, value_base(s->anchor->in[i], NULL));
    for (int i = 0; i < s->anchor->nout; i++) append_value(values, args, s->anchor->out[i]);
}

static cJSON *stage_json(const Values *values, FuncPlan *p, const Stage *s) {
    cJSON *o = cJSON_CreateObject();
    add_text(o, "name", s->name);
    cJSON_AddBoolToObject(o, "barrier", s->barrier);
    if (s->is_call) {
        add_call(o, values, s);
        return o;
    }
    add_text(o, "function", s->function);
    add_text(o, "ops", stage_ops(p->arena, s));
    if (s->deferred_store) cJSON_AddTrueToObject(o, "deferred_state_store");
    add_work_shape(o, s);
    if (s->tile) add_int(o, "tile", s->tile);
    if (s->tile_stages) add_int(o, "tile_loop_stages", s->tile_stages);
    add_memory(o, values, p, s);
    return o;
}

static void add_states(cJSON *o, const Schedule *s, const FuncPlan *p) {
    cJSON *list = cJSON_AddArrayToObject(o, "states");
    for (int k = 0; k < p->f->nstates; k++) {
        cJSON *n = cJSON_CreateObject();
        add_text(n, "name", p->f->states[k].name);
        add_text(n, "dtype", dtype_name(state_slot_dtype(p, k, s->machine)));
        add_int(n, "elements", state_slot_elements(p, k, s->machine));
        add_int(n, "offset", p->state_offset[k]);
        cJSON_AddNumberToObject(n, "start", p->f->states[k].init);
        cJSON_AddItemToArray(list, n);
    }
}

static cJSON *plan_json(const Schedule *s, FuncPlan *p) {
    cJSON *o = cJSON_CreateObject();
    Values values = values_of(p);
    add_text(o, "plan", p->function);
    add_text(o, "block", form_base_name(s->arena, p->f));
    add_text(o, "form", form_name(p->f->form));
    add_int(o, "arguments", attr_find(p->f->attrs, "main") ? 0 : p->f->nparams + p->f->nresults);
    add_states(o, s, p);
    cJSON *list = cJSON_AddArrayToObject(o, "values");
    for (int i = 0; i < values.n; i++) cJSON_AddItemToArray(list, value_json(p, values.v[i]));
    list = cJSON_AddArrayToObject(o, "stages");
    for (int k = 0; k < p->n; k++) cJSON_AddItemToArray(list, stage_json(&values, p, p->stages[k]));
    return o;
}

/* ---- the whole ---- */

/* What goes into a call and what comes out: numbers of a row. */
static void add_interface(cJSON *root, const Func *main) {
    cJSON *in = cJSON_AddObjectToObject(root, "input"), *out = cJSON_AddObjectToObject(root, "output");
    add_text(in, "dtype", dtype_name(main->params[0]->type.dt));
    add_int(in, "width", type_count(main->params[0]->type));
    add_text(out, "dtype", "f32");
    add_int(out, "width", type_count(main->results[0]->type));
    cJSON *probes = cJSON_AddArrayToObject(root, "probes");
    for (int i = 1; i < main->nresults; i++) {
        cJSON *o = cJSON_CreateObject();
        add_text(o, "name", main->result_names[i] ? main->result_names[i] : "");
        add_int(o, "width", type_count(main->results[i]->type));
        cJSON_AddItemToArray(probes, o);
    }
}

static cJSON *memory_json(const Schedule *s) {
    cJSON *o = cJSON_CreateObject();
    add_int(o, "weights", s->weight_bytes);
    add_int(o, "weights_header", sizeof(btc_weights_header));
    add_int(o, "state_header", BTC_STATE_HEADER);
    add_int(o, "state_position", offsetof(btc_state_header, position));
    add_int(o, "state", (BTC_STATE_HEADER + s->state_bytes + 63) / 64 * 64);
    add_int(o, "shared", s->shared_bytes);
    add_int(o, "worker", s->worker_bytes);
    return o;
}

static cJSON *weights_json(const PackList *l) {
    cJSON *o = cJSON_CreateObject();
    add_text(o, "block", l->block);
    add_int(o, "bytes", l->bytes);
    cJSON *list = cJSON_AddArrayToObject(o, "items");
    for (int i = 0; i < l->n; i++) {
        const PackItem *it = &l->items[i];
        cJSON *n = cJSON_CreateObject();
        add_text(n, "name", attr_str(it->leaf, "name", attr_str(it->leaf, "func", "")));
        add_text(n, "layout", pack_kind_name(it->kind));
        add_text(n, "storage", it->format->name);
        add_int(n, "offset", it->offset);
        add_int(n, "bytes", it->bytes);
        cJSON_AddItemToArray(list, n);
    }
    return o;
}

static cJSON *call_json(const BlockCall *c) {
    cJSON *o = cJSON_CreateObject();
    add_text(o, "block", c->block);
    add_int(o, "layer", c->layer);
    add_text(o, "prefix", c->prefix);
    add_int(o, "weights", c->weights);
    add_int(o, "state", c->state);
    return o;
}

/* Where a stage function finds what in its argument block (runtime/btc_call.h): words of 8 bytes. */
static cJSON *argument_block_json(void) {
    static const char *const names[] = {[BTC_CALL_WEIGHTS] = "weights",
                                        [BTC_CALL_STATES] = "states",
                                        [BTC_CALL_WORK] = "work",
                                        [BTC_CALL_INPUT] = "input",
                                        [BTC_CALL_OUTPUT] = "output",
                                        [BTC_CALL_ROWS] = "rows",
                                        [BTC_CALL_OUT_BEGIN] = "out_begin",
                                        [BTC_CALL_BARRIER] = "barrier",
                                        [BTC_CALL_PROBES] = "probes",
                                        [BTC_CALL_SHARED_BYTES] = "shared_bytes",
                                        [BTC_CALL_PRIVATE_BYTES] = "worker_bytes"};
    cJSON *o = cJSON_CreateObject();
    for (int i = 0; i < (int)(sizeof names / sizeof *names); i++) add_int(o, names[i], 8 * i);
    return o;
}

char *schedule_json(Arena *a, const Module *model, const Compiled *c) {
    const Schedule *s = &c->lowered.schedule;
    cJSON *root = cJSON_CreateObject(), *rows = cJSON_CreateObject();
    add_int(root, "version", SCHEDULE_VERSION);
    add_text(root, "name", model->name);
    add_text(root, "target", c->target.target->name);
    add_text(root, "cpu", c->target.cpu);
    add_text(root, "execution", execution_name(c->target.target->execution));
    add_int(root, "lanes", s->machine->lanes);
    add_int(rows, "step", s->machine->max_rows_step), add_int(rows, "chunk", s->machine->chunk);
    cJSON_AddItemToObject(root, "rows", rows);
    add_interface(root, s->calls[0].plan->f);
    cJSON_AddItemToObject(root, "memory", memory_json(s));
    cJSON_AddItemToObject(root, "argument_block", argument_block_json());
    cJSON *list = cJSON_AddArrayToObject(root, "weights");
    for (int i = 0; i < s->npacks; i++) cJSON_AddItemToArray(list, weights_json(s->packs[i]));
    list = cJSON_AddArrayToObject(root, "calls");
    for (int i = 0; i < s->ncalls; i++) cJSON_AddItemToArray(list, call_json(&s->calls[i]));
    list = cJSON_AddArrayToObject(root, "plans");
    for (int i = 0; i < s->plans.n; i++) cJSON_AddItemToArray(list, plan_json(s, s->plans.plans[i]));
    char *text = json_print(a, root);
    cJSON_Delete(root);
    return text;
}
