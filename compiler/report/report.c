/* Counts for btc report. Operations come from OpDef.cost, bytes of weights from the packed layout, bytes of values
 * from the plan: a value that stays in registers costs nothing. By default the context of attention without a window
 * is half full (see its cost). */
#include "report.h"
#include "kernels/op_table.h"

#include <string.h>

#include "btc_call.h"

void work_add(Work *to, const Work *w, double times) {
    to->flops += times * w->flops;
    to->weights += times * w->weights;
    to->states += times * w->states;
    to->values += times * w->values;
}

/* ---- bytes of weights ---- */

/* A leaf may be packed in several ways (a table that is also a matrix); which one an op reads follows from
 * its pattern. */
static int preference(const Op *op, PackKind kind) {
    bool panels = kind == PACK_PANELS || kind == PACK_PANELS_IO;
    if (op->def->pattern == PAT_CONTRACT) return panels ? 2 : kind == PACK_TABLE ? 0 : 1;
    if (op->def->pattern == PAT_GATHER) return kind == PACK_TABLE ? 2 : 1;
    return panels || kind == PACK_TABLE ? 0 : 1;
}

/* Bytes of the operand as packed; numbers inside the code have none. */
static double packed_bytes(const PackList *packs, const Op *op, const Value *v) {
    const PackItem *best = NULL;
    for (int i = 0; v->def && i < packs->n; i++) {
        const PackItem *it = &packs->items[i];
        if (!pack_same_leaf(it->leaf, v->def)) continue;
        if (!best || preference(op, it->kind) > preference(op, best->kind)) best = it;
    }
    return best ? (double)best->bytes : 0;
}

/* cost counts four bytes a number, and knows which part is read (rows of a table, some experts): the same
 * part of the packed bytes is what is read. */
static double weight_bytes(const PackList *packs, const Op *op, const Cost *c) {
    int nstate = op_state_count(op->def);
    double whole = 0, packed = 0;
    for (int i = 0; i < op->nin - nstate; i++) {
        const Value *v = op->in[i];
        if (!v || v->type.seq) continue;
        whole += 4.0 * (double)type_count(v->type);
        packed += packed_bytes(packs, op, v);
    }
    return whole > 0 ? packed * (c->weight_bytes / whole) : 0;
}

/* ---- one op, one stage ---- */

/* What cost says of act_bytes beyond operands and results with T: the states, counted as f32. */
static double state_bytes(const Op *op, const Cost *c, double rows, DType dt) {
    double values = 0;
    for (int i = 0; i < op->nin; i++)
        if (op->in[i] && op->in[i]->type.seq) values += (double)type_count(op->in[i]->type);
    for (int i = 0; i < op->nout; i++)
        if (op->out[i]->type.seq) values += (double)type_count(op->out[i]->type);
    double rest = c->act_bytes - 4 * rows * values;
    return op_state_count(op->def) && rest > 0 ? rest / 4 * (double)dtype_size(dt) : 0;
}

/* The cost with another number of tokens before the rows than the op assumed; negative: leave it. */
static Cost cost_after(Cost c, double past) {
    if (past < 0) return c;
    double more = (past < c.past_most ? past : c.past_most) - c.past;
    c.flops += more * c.past_flops, c.act_bytes += more * c.past_bytes;
    return c;
}

/* "f32", or "f32 and bf16" where some op has its own. */
static const char *state_types(Arena *a, const Compiled *c) {
    const char *text = NULL;
    bool said[DT_COUNT] = {false};
    for (int i = 0; i < c->lowered.schedule.ncalls; i++) {
        const FuncPlan *p = c->lowered.schedule.calls[i].plan;
        for (int k = 0; k < p->f->nstates; k++) {
            DType dt = state_slot_dtype(p, k, &c->lower);
            if (said[dt]) continue;
            said[dt] = true;
            text = text ? arena_printf(a, "%s and %s", text, dtype_name(dt)) : dtype_name(dt);
        }
    }
    return text ? text : dtype_name(c->lower.state_dt);
}

static void add_op(Work *w, const PackList *packs, const Op *op, double rows, double past) {
    if (!op->def->cost) return;
    Cost c = cost_after(op->def->cost(op, (int64_t)rows), past);
    w->flops += c.flops;
    w->weights += weight_bytes(packs, op, &c);
    w->states += state_bytes(op, &c, rows, op_state_dtype(op, packs->target->state_dt));
}

static double stored_bytes(const Op *op, double rows) {
    double n = 0;
    for (int i = 0; i < op->nout; i++) {
        const ValueInfo *v = value_info(op->out[i]);
        if (v && v->stored && op->out[i]->type.seq) n += 4.0 * (double)type_count(op->out[i]->type) * rows;
    }
    return n;
}

/* Of a stage over rows of one sequence. */
static Work stage_work(FuncPlan *p, const Stage *s, const PackList *packs, double rows, double past) {
    Work w = {0};
    if (s->deferred_store || s->is_call || rows == 0)
        return w; /* updates of state are counted with their op */
    if (s->anchor) add_op(&w, packs, s->anchor, rows, past), w.values += stored_bytes(s->anchor, rows);
    for (int i = 0; i < s->nepilogue; i++) {
        add_op(&w, packs, s->epilogue[i], rows, past);
        w.values += stored_bytes(s->epilogue[i], rows);
    }
    Read *reads;
    int n = stage_reads(p, s, &reads);
    for (int i = 0; i < n; i++) {
        bool again = !reads[i].v->type.seq; /* states are counted; once, however many operands it is */
        for (int k = 0; k < i; k++) again |= reads[k].v == reads[i].v;
        if (!again) w.values += 4.0 * (double)type_count(reads[i].v->type) * rows;
    }
    return w;
}

/* In a step every row has a state of its own; the weights are read once. */
Work report_stage_work(FuncPlan *p, const Stage *s, const PackList *packs, const CallShape *call) {
    bool chunk = p->f->form == FORM_CHUNK;
    double rows = (double)(s->once ? 1 : chunk && s->out_rows ? call->outputs : call->rows);
    Work all = stage_work(p, s, packs, rows, call->past);
    if (chunk) return all;
    Work one = stage_work(p, s, packs, 1, call->past), w = {.weights = all.weights};
    one.weights = 0;
    work_add(&w, &one, rows);
    return w;
}

static const char *form_of(const Op *op, Form form) {
    if (!op || !op_state_count(op->def)) return NULL;
    const char *plain = op->def->pattern == PAT_SCAN ? "recurrent" : "direct";
    const OpForm *forms = op_lowering(op->def)->forms;
    if (forms && !forms[1].name) return forms->name; /* the only one serves for steps, too */
    return form == FORM_STEP ? plain : attr_str(op, "form", plain);
}

/* The stage of the step that computes the same value: the text of both forms is the same. */
static const Stage *twin(const FuncPlan *step, const Stage *s) {
    const Op *mine = s->anchor ? s->anchor : s->epilogue[0];
    for (int i = 0; step && i < step->n; i++) {
        const Stage *t = step->stages[i];
        const Op *other = t->anchor ? t->anchor : t->epilogue[0];
        if (!t->deferred_store && other->nout && !strcmp(mine->out[0]->name, other->out[0]->name)) return t;
    }
    return NULL;
}

static void add_stages(Arena *a, ReportBlock *b, FuncPlan *step, FuncPlan *chunk, const PackList *packs,
                       int64_t rows, double past) {
    const CallShape one = {1, 1, past};
    for (int i = 0; i < chunk->n; i++) {
        const Stage *s = chunk->stages[i], *t = step ? twin(step, s) : NULL;
        if (s->deferred_store || s->is_call) continue;
        ReportOp op = {.value = s->name, .ops = stage_ops(a, s)};
        op.form_step = form_of(s->anchor, FORM_STEP), op.form = form_of(s->anchor, FORM_CHUNK);
        if (s->anchor) op.why = attr_str(s->anchor, "why", NULL);
        op.chunk = report_stage_work(chunk, s, packs, &(CallShape){rows, 1, past});
        if (t) op.step = report_stage_work(step, t, packs, &one);
        ARENA_PUSH(a, b->ops, b->nops, b->cap, op);
    }
    for (int i = 0; i < step->n; i++) {
        Work w = report_stage_work(step, step->stages[i], packs, &one);
        work_add(&b->step, &w, 1);
    }
    for (int i = 0; i < b->nops; i++) work_add(&b->chunk, &b->ops[i].chunk, 1);
}

/* Parameters of a block as the description has them (before passes cut and merge), each name once. */
static double count_parameters(const Func *f) {
    double n = 0;
    OPS_OF (f->body, op) {
        bool again = false;
        OPS_OF (f->body, other) {
            if (other == op) break;
            again |= other->def == op->def && pack_same_leaf(op, other);
        }
        if (op->def == OP_TABLE[OP_weight] && !again) n += op->def->cost(op, 1).params;
    }
    return n;
}

static FuncPlan *find_plan(const Schedule *l, Arena *a, const BlockCall *call, Form form) {
    const char *name = arena_printf(a, "%s.%s", call->block, form_name(form));
    for (int i = 0; i < l->plans.n; i++)
        if (!strcmp(l->plans.plans[i]->f->name, name)) return l->plans.plans[i];
    return NULL;
}

/* A chunk of one token is a step where there is no code for chunks. */
FuncPlan *report_plan(const Schedule *l, Arena *a, const BlockCall *call, Form form) {
    FuncPlan *p = find_plan(l, a, call, form);
    if (!p && form == FORM_CHUNK) p = find_plan(l, a, call, FORM_STEP);
    if (!p) BTC_BUG("@%s was not planned", call->block);
    return p;
}

Work report_call_work(Arena *a, const Schedule *l, Form form, const CallShape *call) {
    Work sum = {0};
    for (int i = 0; i < l->ncalls; i++) {
        FuncPlan *p = report_plan(l, a, &l->calls[i], form);
        for (int k = 0; k < p->n; k++) {
            Work w = report_stage_work(p, p->stages[k], l->calls[i].packs, call);
            work_add(&sum, &w, 1);
        }
    }
    return sum;
}

static int block_of(Report *r, Arena *a, const Schedule *l, const BlockCall *call) {
    for (int i = 0; i < r->nblocks; i++)
        if (!strcmp(r->blocks[i].name, call->block)) return i;
    FuncPlan *step = find_plan(l, a, call, FORM_STEP), *chunk = report_plan(l, a, call, FORM_CHUNK);
    ReportBlock b = {.name = call->block,
                     .weight_bytes = call->packs->bytes,
                     .state_bytes = chunk->state_bytes,
                     .barriers_step = step ? step->barriers : 0,
                     .barriers_chunk = chunk->barriers};
    add_stages(a, &b, step, chunk, call->packs, r->chunk_tokens, r->past);
    for (int i = 0; i < chunk->n; i++) r->last_row_only |= chunk->stages[i]->out_rows;
    ARENA_PUSH(a, r->blocks, r->nblocks, r->blocks_cap, b);
    return r->nblocks - 1;
}

/* ---- the whole ---- */

static void add_layers(Report *r, Arena *a, const Schedule *l) {
    for (int i = 0; i < l->ncalls; i++) {
        int k = block_of(r, a, l, &l->calls[i]);
        const ReportBlock *b = &r->blocks[k];
        work_add(&r->step, &b->step, 1), work_add(&r->chunk, &b->chunk, 1);
        r->barriers_step += b->barriers_step, r->barriers_chunk += b->barriers_chunk;
        if (i == 0) continue; /* main itself */
        ReportRun run = {k, r->layers, r->layers};
        r->layers++;
        if (r->nruns && r->runs[r->nruns - 1].block == k)
            r->runs[r->nruns - 1].last = run.last;
        else
            ARENA_PUSH(a, r->runs, r->nruns, r->runs_cap, run);
    }
}

static Roofline roofline(const ReportMachine *m, double flops, double bytes) {
    Roofline x = {.by_memory = m->bandwidth / bytes, .by_arithmetic = m->peak / flops};
    x.tokens_per_second = x.by_memory < x.by_arithmetic ? x.by_memory : x.by_arithmetic;
    return x;
}

bool report_make(Diag *d, Model *m, const CompileOptions *o, const ReportMachine *machine, double past,
                 Report *r) {
    Arena *a = m->arena;
    typedef struct Count {
        const char *name;
        double n;
    } Count;
    Count *counts = NULL;
    int n = 0, cap = 0;
    for (Func *f = m->module->first; f; f = f->next) {
        Count c = {f->name, count_parameters(f)};
        ARENA_PUSH(a, counts, n, cap, c);
    }
    Compiled c;
    if (!compile_lower(d, m, o, &c)) return false;
    *r =
        (Report){.name = m->module->name, .target = c.target.target->name, .cpu = c.target.cpu, .past = past};
    r->tuning = c.lower.tuning, r->cost_model = c.lower.defaults.tuning, r->tuning_from = c.tuning_from;
    r->lanes = c.lower.lanes, r->chunk_tokens = c.lower.chunk, r->max_batch = c.lower.max_rows_step;
    r->state_type = state_types(a, &c);
    r->machine = *machine;
    add_layers(r, a, &c.lowered.schedule);
    for (int i = 0; i < r->nblocks; i++)
        for (int k = 0; k < n; k++)
            if (!strcmp(counts[k].name, r->blocks[i].name)) r->blocks[i].parameters = counts[k].n;
    for (int i = 0; i < m->weights.n; i++)
        if (m->weights.tensors[i].used) r->parameters += (double)raw_tensor_count(&m->weights.tensors[i]);
    r->weight_bytes = c.lowered.schedule.weight_bytes;
    r->state_bytes = (BTC_STATE_HEADER + c.lowered.schedule.state_bytes + 63) / 64 * 64;
    r->work_shared = c.lowered.schedule.shared_bytes, r->work_thread = c.lowered.schedule.worker_bytes;
    r->whole = !schedule_main(&c.lowered.schedule, FORM_STEP);
    r->roof_step = roofline(machine, r->step.flops, work_bytes(&r->step));
    r->roof_prefill =
        roofline(machine, r->chunk.flops / r->chunk_tokens, work_bytes(&r->chunk) / r->chunk_tokens);
    return true;
}
