/* Silence is as fast as sound, since no number on its way is denormal: a model with every op that has a state
 * hears some tokens and then nothing, until all that only decays is gone. In both forms and with every type
 * of states, no number of a state and no output is ever denormal, and the end is zero.
 *
 *     test_silence */
#include <float.h>
#include <math.h>

#include "tools/check.h"
#include "tools/compiled.h"

enum { WIDTH = 16, SOUND = 40, ROWS = 4000, BLOCK = 16, LOOK = 50 };

/* The first half of a row sounds; the second is what decays by: 1 - x for scan.diag. */
static const char TEXT[] =
    "module \"silence\"\n"
    "func @main(%x : f32[T,32]) do {\n"
    "  state %d0 : f32[16] = 0.0 \"d\"\n"
    "  state %e0 : f32[16,2] = 0.0 \"e\"\n"
    "  state %re0 : f32[16,2] = 0.0 \"re\"\n"
    "  state %im0 : f32[16,2] = 0.0 \"im\"\n"
    "  state %m0 : f32[2,8,8] = 0.0 \"m\"\n"
    "  state %g0 : f32[2,8,8] = 0.0 \"g\"\n"
    "  state %c0 : f32[3,16] = 0.0 \"c\"\n"
    "  state %s0 : f32[16] = 0.0 \"s\"\n"
    "  %u = slice %x {start=0, size=16} : f32[T,16]\n"
    "  %a = slice %x {start=16, size=16} : f32[T,16]\n"
    "  %d, %d1 = scan.diag %a, %u, %d0 : f32[T,16], f32[16]\n"
    "  %two = slice %a {start=0, size=2} : f32[T,2]\n"
    "  %rates = constant {values=[-0.2, -0.7], shape=[2]} : f32[2]\n"
    "  %ones = constant {values=[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, "
    "1.0],"
    " shape=[16,1]} : f32[16,1]\n"
    "  %A = mul %ones, %rates : f32[16,2]\n"
    "  %e, %e1 = scan.expand %u, %a, %A, %two, %two, %e0 : f32[T,16], f32[16,2]\n"
    "  %mo, %re1, %im1 = scan.modal %u, %A, %A, %A, %A, _, _, _, _, _, %re0, %im0 : f32[T,16], f32[16,2], "
    "f32[16,2]\n"
    "  %k = reshape %a {shape=[2,8]} : f32[T,2,8]\n"
    "  %v = reshape %u {shape=[2,8]} : f32[T,2,8]\n"
    "  %neg = neg %two : f32[T,2]\n"
    "  %decay = reshape %neg {shape=[2,1]} : f32[T,2,1]\n"
    "  %m, %m1 = scan.matrix %k, %k, %v, %decay, _, _, _, %m0 : f32[T,2,8], f32[2,8,8]\n"
    "  %many = neg %k : f32[T,2,8]\n"
    "  %g, %g1 = scan.matrix %k, %k, %v, %many, _, _, _, %g0 : f32[T,2,8], f32[2,8,8]\n"
    "  %w = constant {values=[0.5, 0.25, 0.125, 1.0], shape=[1,4]} : f32[1,4]\n"
    "  %probes = mul %ones, %w : f32[16,4]\n"
    "  %sum = add %d, %e : f32[T,16]\n"
    "  %c, %c1 = conv.short %sum, %probes, _, %c0 : f32[T,16], f32[3,16]\n"
    "  %s, %s1 = shift %mo, %s0 : f32[T,16], f32[16]\n"
    "  %mf = reshape %m {shape=[16]} : f32[T,16]\n"
    "  %gf = reshape %g {shape=[16]} : f32[T,16]\n"
    "  %y1 = add %c, %s : f32[T,16]\n"
    "  %y2 = add %mf, %gf : f32[T,16]\n"
    "  %y = add %y1, %y2 : f32[T,16]\n"
    "  next %d0 = %d1\n"
    "  next %e0 = %e1\n"
    "  next %re0 = %re1\n"
    "  next %im0 = %im1\n"
    "  next %m0 = %m1\n"
    "  next %g0 = %g1\n"
    "  next %c0 = %c1\n"
    "  next %s0 = %s1\n"
    "  return %y\n"
    "}\n";

typedef struct Silence {
    Arena *a;
    Diag d;
    Model model;
    Loaded l;
    const char *state; /* the type of states, */
    DType dt;          /* the same */
    const char *form;
    void *block, *work;
    float *x; /* [ROWS][2 * WIDTH] */
} Silence;

static float *draw(Arena *a) {
    float *x = ARENA_ARRAY(a, float, ROWS * 2 * WIDTH);
    for (int t = 0; t < ROWS; t++)
        for (int i = 0; i < WIDTH; i++) {
            x[t * 2 * WIDTH + i] = t < SOUND ? (float)((t * 7 + i * 13) % 17 - 8) / 8 : 0;
            x[t * 2 * WIDTH + WIDTH + i] = 0.3f + (float)i / 32;
        }
    return x;
}

static bool open_model(Silence *s) {
    Module *m = ir_parse(&s->d, s->a, "silence", TEXT);
    if (!m) return false;
    attr_set(s->a, &m->attrs, (Attr){.name = "kind", .kind = AT_STR, .s = "features"});
    s->model = (Model){.arena = s->a, .path = "silence", .description = (char *)(uintptr_t) "s"};
    s->model.description_size = 1, s->model.module = m;
    s->model.weights = (WeightSet){.arena = s->a, .name = "none"};
    CompileOptions o = {.math = "f32", .chunk = BLOCK, .max_batch = 1, .state = s->state};
    if (!ir_verify(&s->d, m) || !loaded_open(&s->d, s->a, &s->model, o, &s->l)) return false;
    s->work = new_work(s->a, &s->l, 1), s->block = new_state(s->a, &s->l);
    return s->block != NULL;
}

/* Below the normal numbers of f32. Those of f16 are taken as they are: they are normal where it is computed.
 */
static bool is_denormal(double x) {
    return x != 0 && fabs(x) < (double)FLT_MIN;
}

/* Over all slots: denormal numbers and others that are not 0. */
static void count(const Silence *s, int64_t *denormal, int64_t *left) {
    const btc_info *info = s->l.api->info;
    *denormal = *left = 0;
    for (int64_t k = 0; k < info->slot_count; k++) {
        const btc_slot *slot = &info->slots[k];
        for (int64_t i = 0; i < slot->bytes / (int64_t)dtype_size(s->dt); i++) {
            double x = dtype_load(s->dt, (const char *)s->block + slot->offset, i);
            if (is_denormal(x)) ++*denormal;
            if (x != 0) ++*left;
        }
    }
}

static bool run_block(Silence *s, int64_t at, float *y) {
    const float *x = s->x + at * 2 * WIDTH;
    if (!strcmp(s->form, "chunk"))
        return s->l.api->prefill_all(&s->l.handle, s->block, s->work, 1, x, BLOCK, y) == BTC_OK;
    for (int i = 0; i < BLOCK; i++)
        if (s->l.api->step(&s->l.handle, (void *const[]){s->block}, 1, s->work, 1, x + i * 2 * WIDTH,
                           y + i * WIDTH) != BTC_OK)
            return false;
    return true;
}

static void listen(Silence *s) {
    float y[BLOCK * WIDTH];
    int64_t denormal, left = 0, wrong = 0;
    for (int64_t at = 0; at < ROWS; at += BLOCK) {
        if (!CHECK(run_block(s, at, y))) return;
        for (int i = 0; i < BLOCK * WIDTH; i++) wrong += is_denormal((double)y[i]);
        count(s, &denormal, &left);
        wrong += denormal;
        if (at == SOUND / BLOCK * BLOCK) CHECK(left > 0);
    }
    if (!CHECK(wrong == 0))
        fprintf(stderr, "    %s, states in %s: %lld denormal numbers\n", s->form, s->state, (long long)wrong);
    /* what is rounded to few digits in each step may stop decaying before it is gone */
    if (s->dt == DT_F32 && !CHECK(left == 0))
        fprintf(stderr, "    %s: %lld numbers of the state are left\n", s->form, (long long)left);
}

int main(void) {
    static const char *const states[] = {"f32", "bf16", "f16"};
    static const DType types[] = {DT_F32, DT_BF16, DT_F16};
    for (int i = 0; i < 6; i++) {
        Silence s = {.a = arena_new(), .state = states[i / 2], .dt = types[i / 2]};
        s.d = diag_new(s.a, stderr);
        s.form = i % 2 ? "step" : "chunk", s.x = draw(s.a);
        if (CHECK(open_model(&s))) listen(&s);
        loaded_close(&s.l);
        arena_free(s.a);
    }
    return check_report("laws/silence");
}
