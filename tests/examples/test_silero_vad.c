/* The voice activity detector in examples/silero-vad, on six seconds of sound that a formula makes: the probabilities of
 * the original, frame by frame with the state saved and restored in between, and in chunks; as a program; and, where
 * there is an emulator, on a Cortex-M7. Started in the project's folder. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "run/session.h"
#include "tools/check.h"
#include "tools/compiled.h"

enum { RATE = 16000, FRAME = 512, FRAMES = 188, SAMPLES = FRAME * FRAMES, FORMANTS = 3 };
static const char MODEL[] = "examples/silero-vad/silero-vad.json",
                  EXPECTED[] = "examples/silero-vad/expected.txt";
static const double TOLERANCE = 1e-5;

/* ---- sound: rest, speech-like stretches through formants, a tone, noise ---- */

typedef enum Kind { REST, TONE, VOICE, NOISE } Kind;
static const struct {
    double begin, end;
    Kind kind;
    const char *vowels;
} PLAN[] = {{0.0, 0.6, REST, NULL},  {0.6, 2.0, VOICE, "aeiou"}, {2.0, 2.6, REST, NULL},
            {2.6, 3.2, TONE, NULL},  {3.2, 3.5, REST, NULL},     {3.5, 4.9, VOICE, "oaieu"},
            {4.9, 5.5, NOISE, NULL}, {5.5, 6.016, REST, NULL}};

static const double *formants_of(char vowel) {
    static const double table[5][FORMANTS] = {
        {730, 1090, 2440}, {530, 1840, 2480}, {270, 2290, 3010}, {570, 840, 2410}, {300, 870, 2240}};
    return table[strchr("aeiou", vowel) - "aeiou"];
}

typedef struct Sound {
    uint32_t seed;
    double phase, y[FORMANTS][2];
} Sound;

static double voice(Sound *s, double t, int part, double noise) {
    static const double bands[FORMANTS] = {80, 100, 140}, loud[FORMANTS] = {1, 0.6, 0.35};
    double since = t - PLAN[part].begin, count = (double)strlen(PLAN[part].vowels);
    double u = since / (PLAN[part].end - PLAN[part].begin) * count, f = u - floor(u), pulse = 0, sum = 0;
    const char *at = PLAN[part].vowels + (int)u;
    s->phase += (125 + 18 * sin(2 * M_PI * 0.9 * since) + 3 * sin(2 * M_PI * 5.5 * t) - 15 * since) / RATE;
    if (s->phase >= 1) s->phase -= 1, pulse = 1;
    double glide = fmin(1, fmax(0, (f - 0.6) / 0.4)), burst = f < 0.12 ? 0.35 : 0.02;
    double x = pulse * pow(sin(M_PI * fmin(1, fmax(0, f * 1.02))), 0.6) + 0.03 * burst * noise;
    const double *from = formants_of(*at), *to = formants_of(at[1] ? at[1] : *at);
    for (int j = 0; j < FORMANTS; j++) {
        double centre = from[j] + (to[j] - from[j]) * glide, r = exp(-M_PI * bands[j] / RATE);
        double w = 2 * r * cos(2 * M_PI * centre / RATE) * s->y[j][0] - r * r * s->y[j][1] + x;
        s->y[j][1] = s->y[j][0], s->y[j][0] = w, sum += w * loud[j];
    }
    return 0.09 * sum;
}

static float *make_sound(Arena *a) {
    float *x = ARENA_ARRAY(a, float, SAMPLES);
    Sound s = {.seed = 12345};
    for (int i = 0, part = 0; i < SAMPLES; i++) {
        double t = (double)i / RATE;
        while (t >= PLAN[part].end && part < 7) part++;
        s.seed = 1664525 * s.seed + 1013904223;
        double noise = s.seed / 2147483648.0 - 1, v = 0.0005 * noise;
        if (PLAN[part].kind == TONE) v += 0.2 * sin(2 * M_PI * 440 * t);
        if (PLAN[part].kind == NOISE) v += 0.1 * noise;
        if (PLAN[part].kind == VOICE) v += voice(&s, t, part, noise);
        x[i] = (float)(fmax(-32768, fmin(32767, floor(v * 32767 + 0.5))) / 32768);
    }
    return x;
}

/* ---- comparing ---- */

static double expected[FRAMES];

static bool read_expected(void) {
    FILE *f = fopen(EXPECTED, "r");
    int n = 0;
    while (f && n < FRAMES && fscanf(f, "%lf", &expected[n]) == 1) n++;
    if (f) fclose(f);
    return n == FRAMES;
}

static void compare(const char *how, const float *got, int n) {
    double worst = 0;
    for (int i = 0; i < n; i++)
        worst = fmax(worst, isnan(got[i]) ? INFINITY : fabs((double)got[i] - expected[i]));
    if (!CHECK(worst <= TOLERANCE)) fprintf(stderr, "    %s: off by %.3g\n", how, worst);
    printf("  %-28s %.2g\n", how, worst);
}

/* ---- the library ---- */

/* Between two frames the state is nowhere but in a saved block. */
static void step_by_step(Arena *a, const Loaded *l, const float *x) {
    const btc_api *api = l->api;
    void *work = new_work(a, l, 1), *state = new_state(a, l);
    size_t room = (size_t)api->info->state_bytes;
    char *kept = arena_alloc(a, room);
    float got[FRAMES];
    for (int i = 0; i < FRAMES; i++) {
        CHECK(api->step(&l->handle, &state, 1, work, 1, x + i * FRAME, &got[i]) == BTC_OK);
        CHECK(api->save(&l->handle, state, kept, room) == BTC_OK);
        memset(state, 0xff, room);
        CHECK(api->restore(&l->handle, state, kept, room) == BTC_OK);
    }
    compare("frame by frame", got, FRAMES);
}

static void test_library(Arena *a, const float *x) {
    Diag d = diag_new(a, stderr);
    ModelOptions mo = {0};
    Model m;
    Loaded l;
    if (CHECK(model_open(&d, a, MODEL, &mo, &m)) &&
        CHECK(loaded_open(&d, a, &m, (CompileOptions){.chunk = 16, .max_batch = 1}, &l))) {
        step_by_step(a, &l, x);
        float got[FRAMES];
        CHECK(l.api->prefill_all(&l.handle, new_state(a, &l), new_work(a, &l, 2), 2, x, FRAMES, got) ==
              BTC_OK);
        compare("chunks of 16, two threads", got, FRAMES);
        loaded_close(&l);
    }
    model_close(&m);
}

/* ---- programs ---- */

static bool write_file(const char *name, const void *data, size_t n) {
    FILE *f = fopen(name, "wb");
    bool ok = f && fwrite(data, 1, n, f) == n;
    return (f && fclose(f) == 0) && ok;
}

static void test_program(Arena *a, const float *x, const char *btc) {
    Diag d = diag_new(a, stderr);
    LinkFolder folder;
    if (!CHECK(link_folder_open(&d, a, "/tmp/btc-vad", &folder))) return;
    const char *in = arena_printf(a, "%s/x", folder.path), *out = arena_printf(a, "%s/y", folder.path);
    CHECK(write_file(in, x, sizeof *x * SAMPLES));
    const char *run = arena_printf(a, "%s %s -o %s/vad --quiet && %s/vad --input=%s --output=%s --quiet", btc,
                                   MODEL, folder.path, folder.path, in, out);
    float got[FRAMES] = {0};
    CHECK(system(run) == 0);
    FILE *f = fopen(out, "rb");
    CHECK(f && fread(got, sizeof *got, FRAMES, f) == FRAMES);
    if (f) fclose(f);
    compare("program", got, FRAMES);
    CHECK(system(arena_printf(
              a,
              "gcc -std=c11 -Wall -Wextra -Werror -I runtime examples/silero-vad/vad.c -ldl -o %s/host && "
              "%s %s -o %s/vad.so --quiet && %s/host %s/vad.so <%s | awk '{ print $2 }' >%s",
              folder.path, btc, MODEL, folder.path, folder.path, folder.path, in, out)) == 0);
    f = fopen(out, "r");
    for (int i = 0; i < FRAMES; i++) CHECK(f && fscanf(f, "%f", &got[i]) == 1);
    if (f) fclose(f);
    compare("vad.c", got, FRAMES);
    link_folder_remove(&folder);
}

/* The first frames with speech in them: an emulator takes its time. */
static void test_cortex(Arena *a, const float *x) {
    enum { SOME = 24 };
    Diag d = diag_new(a, stderr), quiet = diag_new(a, NULL);
    VerifyOptions o = {.form = "step", .threads = 1};
    o.compile = (CompileOptions){.target = "thumbv7em-none-eabi", .cpu = "cortex-m7", .forms = "step"};
    TargetInfo t;
    Session s;
    TensorList got = {0};
    if (!CHECK(compile_target(&d, &o.compile, &t)) || !emulated_check(&quiet, a, t.target)) {
        printf("  cortex-m7: skipped, there is no emulator\n");
        return;
    }
    RawTensor in = {.name = "input", .dt = DT_F32, .rank = 3, .dim = {1, SOME, FRAME}, .file = "sound"};
    in.data = (const uint8_t *)x, in.bytes = sizeof *x * SOME * FRAME;
    if (CHECK(session_open(&s, &d, a, MODEL, &o, PROBES_NONE)) &&
        CHECK(session_run(&s, "step", 1, &in, &got))) {
        const RawTensor *y = tensor_find(&got, "output");
        float p[SOME];
        for (int i = 0; i < SOME && y; i++) p[i] = (float)dtype_load(y->dt, y->data, i);
        if (CHECK(y != NULL)) compare("cortex-m7, emulated", p, SOME);
    }
    session_close(&s);
}

int main(int argc, char **argv) {
    Arena *a = arena_new();
    float *x = make_sound(a);
    CHECK(read_expected());
    test_library(a, x);
    test_program(a, x, argc > 2 ? argv[2] : "build/btc");
    test_cortex(a, x);
    arena_free(a);
    return check_report("examples/silero-vad");
}
