/* Random graphs of ops, compiled, against the interpreter: blocks of several ops that use each other's
 * results, whole, in part and in other shapes. They exercise what single ops do not: cutting into stages,
 * splitting over threads, barriers and the sharing of memory. Errors add up along a graph, so tolerances are
 * wide; what goes wrong here is wrong by far.
 *
 * BTC_SEED=N draws others, BTC_GRAPH=N runs one only, BTC_PLAN=1 shows the stages of a wrong one. */
#include "agree.h"

enum { BLOCKS = 3, OPS = 9 };

/* Few sizes, so that shapes meet. */
static int64_t draw_meeting_size(Rng *r, const char *name) {
    static const int64_t widths[] = {4, 8, 16, 17, 48};
    if (one_of(name, " h g ")) return rng_int(r, 1, 3);
    if (one_of(name, " k ")) return rng_int(r, 1, 4);
    if (one_of(name, " l ")) return 64;
    if (one_of(name, " star middle any2 any3 ")) return rng_int(r, 1, 3);
    return widths[rng_int(r, 0, 4)];
}

/* Steep functions, and choices that flip when two numbers are close, would hide errors or make them. */
static bool is_smooth(const Kit *k, const OpDef *def) {
    return def->level == LEVEL_MODEL && def->sig && def->pattern != PAT_LEAF && def->pattern != PAT_GATHER &&
           def != &op_linear_experts &&
           !(def->flags & (OPF_CHOOSES | OPF_CONST_ONLY | OPF_INTERNAL | (k->whole ? 0 : OPF_WHOLE)));
}

/* The latest value as a result, unless it is one already. */
static void add_graph_result(Kit *k, int ops) {
    Func *f = kit_func(k);
    Value *v = k->values[k->nvalues - 1];
    for (int i = 0; i < f->nresults; i++)
        if (f->results[i] == v) return;
    ir_result_add(f, arena_printf(k->a, "%s#%d.%d", v->def->def->name, k->blocks, ops), v);
}

static void draw_graph(Kit *k) {
    int ops = 0;
    for (int draw = 0; draw < 40 * OPS && ops < OPS && k->nparams < 40; draw++) {
        const OpDef *def = OP_TABLE[rng_int(&k->r, 0, OP_COUNT - 1)];
        bool boring = def->pattern == PAT_ELEMENTWISE && rng_int(&k->r, 0, 3);
        Op *op = is_smooth(k, def) && !boring ? draw_op(k, def, draw_meeting_size) : NULL;
        if (!op || !op->out[0]->type.seq) continue;
        ops++;
        Value *v = op->out[0];
        ARENA_PUSH(k->a, k->values, k->nvalues, k->values_cap, v);
        if (rng_int(&k->r, 0, 4) == 0) add_graph_result(k, ops);
    }
    if (k->nvalues) add_graph_result(k, ops);
}

/* Blocks that main calls twice each, and a graph in main itself. */
static bool graph_agrees(const Variant *v) {
    Case c = {.k = kit_new(arena_new(), seed_of(v), v->storage, false), .slack = 100};
    Kit *k = &c.k;
    k->graph = true, k->odd = v->seed % 3 != 0, k->whole = v->seed % 4 == 1;
    for (; k->blocks < BLOCKS; k->blocks++) {
        Func *f = k->block = ir_func_new(k->m, arena_printf(k->a, "b%d", k->blocks), LEVEL_MODEL);
        k->nparams = k->nvalues = 0;
        draw_graph(k);
        k->block = NULL;
        if (f->nresults) call_block(k, f, f->result_names[f->nresults - 1]);
    }
    k->nvalues = 0;
    if (rng_int(&k->r, 0, 1)) draw_graph(k);
    return agrees(&c, v, compared);
}

/* ---- cases that were once wrong, or nearly so ---- */

static const char *const TEXTS[] = {
    /* an operand that fits the anchor's shape by its count alone: [2,1] in [2,2,2], not a value per row of
       [2,4] */
    "  %a = norm.rms %x, _, _ {eps=0.001} : f32[T,2,4]\n"
    "  %r = reshape %a {shape=[2,2,2]} : f32[T,2,2,2]\n"
    "  %w = weight {name=\"w\", shape=[2,1], storage=\"f32\"} : f32[2,1]\n"
    "  %y = mul %r, %w : f32[T,2,2,2]\n",
    "  %a = norm.rms %x, _, _ {eps=0.001} : f32[T,2,4]\n"
    "  %r = reshape %a {shape=[2,2,2]} : f32[T,2,2,2]\n"
    "  %s = silu %r : f32[T,2,2,2]\n"
    "  %w = weight {name=\"w\", shape=[2,2], storage=\"f32\"} : f32[2,2]\n"
    "  %y = mul %s, %w : f32[T,2,2,2]\n",
    /* groups of a norm inside another dimension */
    "  %w = weight {name=\"w\", shape=[4], storage=\"f32\"} : f32[4]\n"
    "  %y = norm.rms %x, %w, _ {eps=0.001, groups=2} : f32[T,2,4]\n",
};

static bool text_agrees(const char *text, const Variant *v) {
    Case c = {.k = kit_new(arena_new(), v->seed, v->storage, false), .slack = 10};
    Kit *k = &c.k;
    const char *head = "module \"text\" {kind=\"features\"}\n\nfunc @main(%in : f32[T,8]) do {\n"
                       "  %x = reshape %in {shape=[2,4]} : f32[T,2,4]\n";
    k->m = ir_parse(&k->d, k->a, "text", arena_printf(k->a, "%s%s  return %%y \"y\"\n}\n", head, text));
    if (!k->m) return false;
    bool refused = text == TEXTS[0];
    if (refused) k->d.out = NULL;
    k->main = k->m->first, k->input = k->main->params[0], k->width = 8;
    k->main->result_names[0] = "norm.rms#";
    Piece all = {0, 8, LIVELY, 0};
    ARENA_PUSH(k->a, k->pieces, k->npieces, k->pieces_cap, all);
    OPS_OF (k->main->body, op) {
        if (op->def == &op_weight) register_weight(k, op, LIVELY, 0);
    }
    if (refused)
        return !agrees(&c, v, compared) && !c.bad && strstr(k->d.log.s, "cannot broadcast these shapes");
    return agrees(&c, v, compared);
}

int main(void) {
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS && !getenv("BTC_GRAPH"); i++) {
        Variant v = {.storage = DT_F32, .chunk = 8, .seed = i + 1};
        bool ok;
        if (in_child(&ok)) _exit(text_agrees(TEXTS[i], &v) ? 0 : 1);
        if (!CHECK(ok)) fprintf(stderr, "    text %d\n%s", (int)i, TEXTS[i]);
    }
    static const char *const cpus[] = {NULL, "x86-64-v3", NULL, "x86-64-v2"};
    for (uint64_t seed = 1; seed <= 24; seed++) {
        if (!check_meets((int)seed, 1, 4) && !getenv("BTC_GRAPH")) continue;
        if (getenv("BTC_GRAPH") && strtoull(getenv("BTC_GRAPH"), NULL, 10) != seed) continue;
        Variant v = {.cpu = cpus[seed % 4], .storage = seed % 3 ? DT_F32 : DT_BF16, .seed = seed};
        v.chunk = (int)(seed * 7 % 20) + 1;
        bool ok;
        if (in_child(&ok)) _exit(graph_agrees(&v) ? 0 : 1);
        if (!CHECK(ok)) fprintf(stderr, "    graph %d\n", (int)seed);
    }
    return check_report("graphs");
}
