/* btc report --json: the figures without rounding, in bytes, operations and seconds. */
#include "desc/json.h"
#include "report.h"

static void add_number(cJSON *o, const char *key, double v) {
    cJSON_AddNumberToObject(o, key, v);
}

/* rows: tokens that share the call. */
static void add_work(cJSON *o, const char *key, const Work *w, double rows) {
    cJSON *n = cJSON_AddObjectToObject(o, key);
    add_number(n, "flops", w->flops / rows);
    add_number(n, "weight_bytes", w->weights / rows);
    add_number(n, "state_bytes", w->states / rows);
    add_number(n, "value_bytes", w->values / rows);
    add_number(n, "bytes", work_bytes(w) / rows);
}

static cJSON *op_json(const ReportOp *op, double rows) {
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "value", op->value);
    cJSON_AddStringToObject(o, "ops", op->ops);
    if (op->form) {
        cJSON *form = cJSON_AddObjectToObject(o, "form");
        cJSON_AddStringToObject(form, "step", op->form_step);
        cJSON_AddStringToObject(form, "prefill", op->form);
        if (op->why) cJSON_AddStringToObject(form, "why", op->why);
    }
    add_work(o, "step", &op->step, 1);
    add_work(o, "prefill", &op->chunk, rows);
    return o;
}

static cJSON *layers_json(const Report *r, int block) {
    cJSON *list = cJSON_CreateArray();
    for (int i = 0; i < r->nruns; i++) {
        if (r->runs[i].block != block) continue;
        double ends[] = {(double)r->runs[i].first, (double)r->runs[i].last};
        cJSON_AddItemToArray(list, cJSON_CreateDoubleArray(ends, 2));
    }
    return list;
}

static cJSON *block_json(const Report *r, int block) {
    const ReportBlock *b = &r->blocks[block];
    cJSON *o = cJSON_CreateObject(), *barriers = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "name", b->name);
    if (block) cJSON_AddItemToObject(o, "layers", layers_json(r, block));
    add_number(o, "parameters", b->parameters);
    add_number(o, "weight_bytes", (double)b->weight_bytes);
    add_number(o, "state_bytes", (double)b->state_bytes);
    add_number(barriers, "step", b->barriers_step);
    add_number(barriers, "chunk", b->barriers_chunk);
    cJSON_AddItemToObject(o, "barriers", barriers);
    add_work(o, "step", &b->step, 1);
    add_work(o, "prefill", &b->chunk, r->chunk_tokens);
    cJSON *ops = cJSON_AddArrayToObject(o, "ops");
    for (int i = 0; i < b->nops; i++) cJSON_AddItemToArray(ops, op_json(&b->ops[i], r->chunk_tokens));
    return o;
}

static void add_estimate(cJSON *o, const char *key, const Roofline *x) {
    cJSON *n = cJSON_AddObjectToObject(o, key);
    add_number(n, "tokens_per_second", x->tokens_per_second);
    cJSON_AddStringToObject(n, "limit", x->by_memory < x->by_arithmetic ? "memory" : "arithmetic");
}

static cJSON *estimate_json(const Report *r) {
    cJSON *o = cJSON_CreateObject();
    add_number(o, "threads", r->machine.threads);
    add_number(o, "bandwidth", r->machine.bandwidth);
    add_number(o, "peak", r->machine.peak);
    cJSON_AddBoolToObject(o, "bandwidth_assumed", r->machine.assumed_bandwidth);
    cJSON_AddBoolToObject(o, "peak_assumed", r->machine.assumed_peak);
    if (!r->whole) add_estimate(o, "step", &r->roof_step);
    add_estimate(o, "prefill", &r->roof_prefill);
    return o;
}

static cJSON *total_json(const Report *r) {
    cJSON *o = cJSON_CreateObject(), *barriers = cJSON_CreateObject();
    add_number(o, "layers", (double)r->layers);
    add_number(o, "parameters", r->parameters);
    add_number(o, "weight_bytes", (double)r->weight_bytes);
    add_number(o, "state_bytes", (double)r->state_bytes);
    add_number(o, "work_shared_bytes", (double)r->work_shared);
    add_number(o, "work_thread_bytes", (double)r->work_thread);
    add_number(barriers, "step", (double)r->barriers_step);
    add_number(barriers, "chunk", (double)r->barriers_chunk);
    cJSON_AddItemToObject(o, "barriers", barriers);
    add_work(o, "step", &r->step, 1);
    add_work(o, "prefill", &r->chunk, r->chunk_tokens);
    return o;
}

static cJSON *tuning_json(const Report *r) {
    cJSON *o = cJSON_CreateObject();
    Tuning used = r->tuning;
    if (r->tuning_from)
        cJSON_AddStringToObject(o, "file", r->tuning_from);
    else
        cJSON_AddNullToObject(o, "file");
    cJSON *numbers = cJSON_AddObjectToObject(o, "numbers");
    for (int i = 0; i < TUNING_COUNT; i++) add_number(numbers, TUNING_FIELDS[i].name, *tuning_at(&used, i));
    return o;
}

char *report_json(Arena *a, const Report *r) {
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "name", r->name);
    cJSON_AddStringToObject(root, "target", r->target);
    cJSON_AddStringToObject(root, "cpu", r->cpu);
    cJSON_AddStringToObject(root, "state_type", r->state_type);
    add_number(root, "lanes", r->lanes);
    add_number(root, "chunk", r->chunk_tokens);
    if (r->whole) cJSON_AddTrueToObject(root, "whole");
    cJSON_AddItemToObject(root, "tuning", tuning_json(r));
    cJSON *blocks = cJSON_AddArrayToObject(root, "blocks");
    for (int i = 1; i < r->nblocks; i++) cJSON_AddItemToArray(blocks, block_json(r, i));
    cJSON_AddItemToObject(root, "main", block_json(r, 0));
    cJSON_AddItemToObject(root, "total", total_json(r));
    cJSON_AddItemToObject(root, "estimate", estimate_json(r));
    char *text = json_print(a, root);
    cJSON_Delete(root);
    return text;
}
