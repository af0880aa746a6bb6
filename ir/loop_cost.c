/* See loop_cost.h. Scalars are not counted: they are addresses and indices, which run beside the vectors. */
#include "loop_cost.h"

#include <string.h>

const InstructionName INSTRUCTIONS[INSTR_COUNT] = {
#define INSTRUCTION(id, name, doc) {name, doc},
#include "instructions.def"
#undef INSTRUCTION
};

/* ---- the table ---- */

const Correction *costs_correction(const MachineCosts *m, Instruction i) {
    for (const Correction *c = m->corrections; c && c->source; c++)
        if (c->of == i) return c;
    return NULL;
}

InstructionCost costs_of(const MachineCosts *m, CostsFrom from, Instruction i) {
    const Correction *c = from == COSTS_CORRECTED ? costs_correction(m, i) : NULL;
    return c ? c->cost : m->llvm[i];
}

/* ---- ports ---- */

/* Cycles that instructions keep sets of ports busy for. */
typedef struct Ports {
    unsigned set[2 * INSTR_COUNT];
    double busy[2 * INSTR_COUNT];
    int n;
} Ports;

static unsigned port_bit(char port) {
    return 1u << (port >= 'a' ? port - 'a' + 10 : port - '0');
}

static void use_ports(Ports *p, const char *ports, double cycles) {
    unsigned set = 0;
    for (; ports && *ports; ports++) set |= port_bit(*ports);
    if (!set || cycles <= 0) return;
    int i = 0;
    while (i < p->n && p->set[i] != set) i++;
    if (i == p->n) p->set[p->n++] = set, p->busy[i] = 0;
    p->busy[i] += cycles;
}

/* What must run on ports of `all`, evenly shared out among them. */
static double busy_within(const Ports *p, unsigned all) {
    double busy = 0;
    for (int i = 0; i < p->n; i++)
        if (!(p->set[i] & ~all)) busy += p->busy[i];
    return all ? busy / __builtin_popcount(all) : 0;
}

/* The busiest union of sets: no distribution is faster, and there is one that is as fast (Hall's theorem). */
static double busiest(const Ports *p, int from, unsigned all) {
    double most = busy_within(p, all);
    for (int i = from; i < p->n; i++) {
        double with = busiest(p, i + 1, all | p->set[i]);
        if (with > most) most = with;
    }
    return most;
}

static void use_instruction(Ports *p, const InstructionCost *c, int count) {
    use_ports(p, c->ports, count * c->cycles);
    use_ports(p, c->also, count * c->also_cycles);
}

double costs_cycles(const InstructionCost *c) {
    Ports p = {0};
    use_instruction(&p, c, 1);
    return busiest(&p, 0, 0);
}

/* ---- what a loop is made of ---- */

static bool is(const Op *op, OpId id) {
    return op->def == OP_TABLE[id];
}

static bool is_vector(const Value *v) {
    return v && v->type.kind == TY_SCALAR && v->type.lanes > 0;
}

/* The instruction that op is; -1: none. */
static int instruction_of(const Op *op) {
    static const struct {
        OpId op;
        int of_f32, of_i32;
    } rows[] = {
        {OP_loop_fma, INSTR_FMA, INSTR_FMA},          {OP_loop_add, INSTR_FMA, INSTR_INT},
        {OP_loop_sub, INSTR_FMA, INSTR_INT},          {OP_loop_mul, INSTR_FMA, INSTR_MUL32},
        {OP_loop_min, INSTR_FMA, INSTR_INT},          {OP_loop_max, INSTR_FMA, INSTR_INT},
        {OP_loop_and, INSTR_INT, INSTR_INT},          {OP_loop_or, INSTR_INT, INSTR_INT},
        {OP_loop_xor, INSTR_INT, INSTR_INT},          {OP_loop_shl, INSTR_SHIFT, INSTR_SHIFT},
        {OP_loop_shr, INSTR_SHIFT, INSTR_SHIFT},      {OP_loop_cmp, INSTR_INT, INSTR_INT},
        {OP_loop_select, INSTR_INT, INSTR_INT},       {OP_loop_cast, INSTR_CONVERT, INSTR_CONVERT},
        {OP_loop_dot2, INSTR_DOT2, INSTR_DOT2},       {OP_loop_dot4, INSTR_DOT4, INSTR_DOT4},
        {OP_loop_lookup, INSTR_LOOKUP, INSTR_LOOKUP}, {OP_loop_zip_low, INSTR_ZIP, INSTR_ZIP},
        {OP_loop_zip_high, INSTR_ZIP, INSTR_ZIP},
    };
    if (is(op, OP_loop_store)) return is_vector(op->in[2]) ? INSTR_STORE : -1;
    if (!op->nout || !is_vector(op->out[0])) return -1;
    if (is(op, OP_loop_load)) {
        DType dt = DT_F32;
        dtype_parse(attr_str(op, "dt", "f32"), &dt);
        return dt == DT_F16 ? INSTR_HALF : dtype_size(dt) < 4 ? INSTR_WIDEN : INSTR_LOAD;
    }
    if (is(op, OP_loop_splat)) /* what does not change from turn to turn stays in a register */
        return op->in[0]->def && is(op->in[0]->def, OP_loop_load) ? INSTR_BROADCAST : -1;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (is(op, rows[i].op)) return op->out[0]->type.dt == DT_F32 ? rows[i].of_f32 : rows[i].of_i32;
    return -1;
}

static void count_ops(const Block *body, LoopCost *c) {
    OPS_OF (body, op) {
        int i = instruction_of(op);
        if (i < 0) continue;
        c->count[i]++;
        if (is(op, OP_loop_load)) {
            DType dt = DT_F32;
            dtype_parse(attr_str(op, "dt", "f32"), &dt);
            c->bytes += op->out[0]->type.lanes * (int64_t)dtype_size(dt);
            if (dt == DT_BF16) c->count[INSTR_SHIFT]++;
        }
    }
}

/* ---- the chain from turn to turn ---- */

enum { FRESH = -1 }; /* nothing of it comes from the turn before */

/* Of what is carried on, which is always the sum. */
static int carried(const MachineCosts *m, CostsFrom from, Instruction i) {
    InstructionCost c = costs_of(m, from, i);
    return c.carry ? c.carry : c.latency;
}

/* Value.mark: cycles behind the beginning of the turn at which it is there; of a variable, its value. */
static void follow_chain(const Block *body, const MachineCosts *m, CostsFrom from, LoopCost *c) {
    OPS_OF (body, op) {
        if (is(op, OP_loop_get)) op->in[0]->mark = 0;
        for (int i = 0; i < op->nout; i++) op->out[i]->mark = FRESH;
    }
    OPS_OF (body, op) {
        if (is(op, OP_loop_get))
            op->out[0]->mark = op->in[0]->mark;
        else if (is(op, OP_loop_set))
            op->in[0]->mark = op->in[1]->def && op->in[1]->def->parent == body ? op->in[1]->mark : FRESH;
        if (is(op, OP_loop_get) || is(op, OP_loop_set) || !op->nout) continue;
        int latest = FRESH, instruction = instruction_of(op);
        for (int k = 0; k < op->nin; k++)
            if (is_vector(op->in[k]) && op->in[k]->def && op->in[k]->def->parent == body &&
                op->in[k]->mark > latest)
                latest = op->in[k]->mark;
        if (latest == FRESH) continue;
        op->out[0]->mark = latest + (instruction < 0 ? 0 : carried(m, from, (Instruction)instruction));
    }
    OPS_OF (body, op)
        if (is(op, OP_loop_set) && op->in[0]->mark > c->chain) c->chain = op->in[0]->mark;
}

/* ---- in order ---- */

enum { MOST_PORTS = 16 };

typedef struct InOrder {
    int free[MOST_PORTS]; /* when a port is */
    int now, begun;       /* the cycle, and how many instructions have begun in it */
    int last;             /* when the latest so far ends: none ends before */
} InOrder;

static void begin_in_order(InOrder *s, int issue, int at) {
    if (at > s->now) s->now = at, s->begun = 0;
    if (++s->begun > issue) s->now++, s->begun = 1;
}

/* When a port of the set is free, which is taken for so many cycles from `at` on. */
static int take_port(InOrder *s, const char *ports, double cycles, int at, bool take) {
    unsigned best = MOST_PORTS;
    for (; ports && *ports; ports++) {
        unsigned p = (unsigned)__builtin_ctz(port_bit(*ports));
        if (best == MOST_PORTS || s->free[p] < s->free[best]) best = p;
    }
    if (best == MOST_PORTS) return at;
    int from = s->free[best] > at ? s->free[best] : at;
    if (take) s->free[best] = from + (int)cycles;
    return from;
}

/* A turn. Value.mark: when it is there. */
static void run_in_order(const Block *body, const MachineCosts *m, CostsFrom from, InOrder *s) {
    int issue = from == COSTS_LLVM ? m->llvm_issue : m->issue;
    OPS_OF (body, op) {
        int ready = 0, i = instruction_of(op);
        for (int k = 0; k < op->nin; k++)
            if (is_vector(op->in[k]) && op->in[k]->mark > ready) ready = op->in[k]->mark;
        if (is(op, OP_loop_set)) op->in[0]->mark = op->in[1]->mark;
        if (i < 0) {
            if (op->nout) op->out[0]->mark = is(op, OP_loop_get) ? op->in[0]->mark : ready;
            continue;
        }
        InstructionCost c = costs_of(m, from, (Instruction)i);
        int at = ready > s->last - c.latency ? ready : s->last - c.latency;
        if (at < s->now) at = s->now;
        at = take_port(s, c.ports, c.cycles, at, false), at = take_port(s, c.also, c.also_cycles, at, false);
        for (int n = 0; n < c.uops; n++) begin_in_order(s, issue, at);
        take_port(s, c.ports, c.cycles, s->now, true), take_port(s, c.also, c.also_cycles, s->now, true);
        s->last = s->now + c.latency;
        if (op->nout) op->out[0]->mark = s->last;
    }
}

/* Of one turn among many. */
static double in_order_cycles(const Block *body, const MachineCosts *m, CostsFrom from) {
    enum { FEW = 2, MANY = 6 };
    InOrder s = {0};
    int first = 0;
    OPS_OF (body, op)
        for (int k = 0; k < op->nin; k++)
            if (op->in[k]) op->in[k]->mark = 0;
    for (int turn = 0; turn < MANY; turn++) {
        if (turn == FEW) first = s.now;
        run_in_order(body, m, from, &s);
    }
    return (double)(s.now - first) / (MANY - FEW);
}

/* ---- registers ---- */

/* The value whose register v is in: bits are the same under another type, and variables keep theirs. */
static Value *register_of(const Block *body, Value *v) {
    while (v->def && v->def->parent == body && is(v->def, OP_loop_bits)) v = v->def->in[0];
    const Op *next = v->def && v->def->parent == body ? v->def->next : NULL;
    if (v->def && is(v->def, OP_loop_get)) return v->def->in[0];
    return next && is(next, OP_loop_set) && next->in[1] == v ? next->in[0] : v;
}

static bool is_constant(const Value *v) {
    return v->def && is(v->def, OP_loop_splat) && v->def->in[0]->def && is(v->def->in[0]->def, OP_loop_const);
}

/* Value.mark: the number of the last op that reads it. */
static void count_registers(const Block *body, LoopCost *c) {
    int n = 0, alive = 0, kept = 0;
    OPS_OF (body, op) {
        for (int k = 0; k < op->nin; k++)
            if (is_vector(op->in[k])) register_of(body, op->in[k])->mark = -1;
    }
    OPS_OF (body, op) {
        n++;
        for (int k = 0; k < op->nin; k++) {
            Value *v = is_vector(op->in[k]) ? register_of(body, op->in[k]) : NULL;
            if (!v) continue;
            bool here = v->def && v->def->parent == body && !is(v->def, OP_loop_var);
            if (!here && v->mark < 0 && !is_constant(v)) kept++;
            v->mark = n;
        }
    }
    c->registers = kept;
    n = 0;
    OPS_OF (body, op) {
        n++;
        bool makes = op->nout && is_vector(op->out[0]) && register_of(body, op->out[0]) == op->out[0] &&
                     !is_constant(op->out[0]);
        if (makes) alive++;
        if (kept + alive > c->registers) c->registers = kept + alive;
        for (int k = 0; k < op->nin; k++) {
            Value *v = is_vector(op->in[k]) ? register_of(body, op->in[k]) : NULL;
            bool here = v && v->def && v->def->parent == body && !is(v->def, OP_loop_var) && !is_constant(v);
            if (here && v->mark == n) alive--, v->mark = 0; /* once, if it is read twice */
        }
    }
}

/* ---- the loop ---- */

static int size_of(const Block *body) {
    int n = 0;
    OPS_OF (body, op) n++;
    return n;
}

/* The innermost loop below `block` that has the most ops, if larger than *best. */
static void find_loop(const Block *block, const Op **best) {
    OPS_OF (block, op) {
        bool inner = false;
        for (int i = 0; i < 2; i++) {
            if (!op->body[i]) continue;
            const Op *before = *best;
            find_loop(op->body[i], best);
            OPS_OF (op->body[i], x) inner |= is(x, OP_loop_for);
            inner |= *best != before;
        }
        if (is(op, OP_loop_for) && !inner && (!*best || size_of(op->body[0]) > size_of((*best)->body[0])))
            *best = op;
    }
}

bool loop_cost(const Func *f, const MachineCosts *m, CostsFrom from, int registers, LoopCost *out) {
    const Op *loop = NULL;
    *out = (LoopCost){0};
    find_loop(f->body, &loop);
    if (!loop) return false;
    const Block *body = loop->body[0];
    enum { TURN = 2 }; /* the index, and the jump */
    Ports p = {0};
    int uops = TURN;
    count_ops(body, out);
    count_registers(body, out);
    out->spilled = out->registers > registers ? out->registers - registers : 0;
    out->count[INSTR_STORE] += out->spilled, out->count[INSTR_LOAD] += out->spilled;
    for (int i = 0; i < INSTR_COUNT; i++) {
        InstructionCost c = costs_of(m, from, (Instruction)i);
        if (out->count[i] && !c.ports) return false;
        use_instruction(&p, &c, out->count[i]);
        uops += out->count[i] * c.uops;
    }
    out->step = attr_int(loop, "step", 1);
    out->ports = busiest(&p, 0, 0);
    out->issue = (double)uops / (from == COSTS_LLVM ? m->llvm_issue : m->issue);
    follow_chain(body, m, from, out);
    out->cycles = out->ports > out->issue ? out->ports : out->issue;
    if (out->chain > out->cycles) out->cycles = out->chain;
    double waits = m->in_order ? in_order_cycles(body, m, from) : 0;
    if (waits > out->cycles) out->cycles = waits;
    return true;
}
