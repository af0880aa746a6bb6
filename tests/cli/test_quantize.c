/* Quantised weights as people ask for them: --quant, rules in descriptions, --math, btc quantize,
 * --calibration. test_quantize [BTC [CONFORMANCE]] */
#include "kit.h"

#include <math.h>

#include <cjson/cJSON.h>

#include "weights/weights.h"

/* The description of a case with more at the top, in our folder. */
static const char *described_behind(const char *name, const char *file, const char *place, const char *more) {
    const char *out = at(file);
    Run r = run("import '%s' -o '%s'", model(name), out);
    const char *text = read_text(out), *first = text ? strstr(text, place) : NULL;
    if (!CHECK(r.status == 0 && first)) return out;
    first += strlen(place);
    write_file(out, arena_printf(arena, "%.*s%s%s", (int)(first - text), text, more, first));
    return out;
}

static const char *described(const char *name, const char *file, const char *more) {
    return described_behind(name, file, "\"btc\": 1,", more);
}

static double number(const cJSON *o, const char *name) {
    const cJSON *x = cJSON_GetObjectItemCaseSensitive(o, name);
    return cJSON_IsNumber(x) ? x->valuedouble : -1;
}

/* ---- options and rules ---- */

static void check_options(void) {
    const char *m = model("hf-mamba");
    CHECK_FAILS(run("'%s' -o '%s' --quant=q5", m, at("x.so")), 2, "--quant=q5: must be q8, q6, q4 or none");
    CHECK_FAILS(run("'%s' -o '%s' --math=int4", m, at("x.so")), 2, "--math=int4: must be f32, bf16 or int8");
    CHECK_FAILS(run("'%s' -o '%s' --math=bf16 --target=x86_64-linux-gnu --cpu=x86-64-v3", m, at("x.so")), 2,
                "--math=bf16: x86-64-v3 has no dot products of bf16");
    CHECK_FAILS(run("'%s' -o '%s' --compress=on", m, at("x.so")), 2, "--compress=on: must be yes or no");
    CHECK_FAILS(run("'%s' -o '%s' --compress=yes --target=x86_64-linux-gnu --cpu=x86-64", m, at("x.so")), 2,
                "--compress=yes: x86-64 cannot look up bytes of a vector in a table");
    CHECK(access(at("x.so"), F_OK) != 0);
    const char *with = "'%s' --dtype=bf16 --target=x86_64-linux-gnu --cpu=x86-64-v3 --emit=loops %s";
    CHECK_PRINTS(run(with, m, ""), "product_bf16_12_f32");
    Run plain = run(with, m, "--compress=no");
    CHECK(plain.status == 0 && !strstr(plain.out, "bf16_12") && strstr(plain.out, "product_bf16_f32"));
    CHECK_PRINTS(run("'%s' --quant=q6 --math=int8 --target=x86_64-linux-gnu --cpu=x86-64-v3 --emit=ir", m),
                 "storage=\"q6\"");
}

/* Pairs go with weights in bf16 and beside bytes, where the machine has them, and attention takes them; a
 * GPU's vectors are too wide. */
static void check_attention(void) {
    const char *m = model("hf-qwen3"), *on = "'%s' --target=x86_64-linux-gnu --cpu=%s %s --emit=ir";
    if (!have("hf-qwen3")) return;
    static const char pairs[] = "math=\"bf16\"} : f32[T,4,12], f32[8192,2,12]";
    CHECK_PRINTS(run(on, m, "znver4", "--quant=q8"), pairs);
    CHECK_PRINTS(run(on, m, "znver4", "--math=bf16"), pairs);
    CHECK_PRINTS(run(on, m, "znver4", "--dtype=bf16"), pairs);
    CHECK(!strstr(run(on, m, "znver4", "").out, pairs));
    CHECK(!strstr(run(on, m, "znver4", "--dtype=bf16 --math=f32").out, pairs));
    CHECK(!strstr(run(on, m, "cascadelake", "--dtype=bf16").out, pairs));
    CHECK(!strstr(run(on, m, "znver4", "--quant=q8 --math=f32").out, pairs));
    CHECK(!strstr(run(on, m, "cascadelake", "--quant=q8").out, pairs));
    const char *asked =
        described_behind("hf-qwen3", "pairs.json", "\"op\": \"attend\",", " \"math\": \"bf16\",");
    CHECK_PRINTS(run(on, asked, "x86-64-v3", ""), "math=\"bf16\"");
    CHECK_FAILS(run("'%s' --emit=asm -o '%s' --target=nvptx64 --gpu=sm_80", asked, at("x.ptx")), 1,
                "attend: math bf16 is for vectors of up to 16 numbers, not 32; take f32");
}

static void refuse_rule(const char *rules, const char *where, const char *message) {
    const char *m = described("hf-mamba", "rules.json", arena_printf(arena, "\n  \"quant\": %s,", rules));
    Run r = run("report '%s'", m);
    CHECK(r.status == 1 && !*r.out);
    CHECK_STR_CONTAINS(r.err, where);
    CHECK_STR_CONTAINS(r.err, message);
}

static void check_rules(void) {
    refuse_rule("{ \"*.in_proj\": \"q5\" }", "quant.*.in_proj", "must be f32, bf16, f16, q8, q6 or q4");
    refuse_rule("{ \"*.in_prj\": \"q8\" }", "quant.*.in_prj", "no weight has a name like this");
    refuse_rule("{ \"*.norm\": \"q8\" }", "quant.*.norm",
                "is not only the matrix of a product or a table: it cannot be q8");
    refuse_rule("{ \"*.0.mixer.in_proj\": \"q8\" }", "quant", "layers of one block share their code");
    refuse_rule("[\"q8\"]", "quant", "must be patterns of tensor names");
    refuse_rule("{ \"a b\": \"q8\" }", "quant", "is no pattern of tensor names");
    const char *m = described("hf-mamba", "good.json",
                              "\n  \"quant\": { \"*.in_proj\": \"q6\", \"embedding\": \"q8\" },");
    Run r = run("'%s' --emit=ir --quant=q4", m);
    CHECK(strstr(r.out, "storage=\"q6\"") && strstr(r.out, "storage=\"q8\"") &&
          strstr(r.out, "storage=\"q4\""));
    r = run("'%s' --emit=ir", m);
    CHECK(strstr(r.out, "storage=\"q6\"") && !strstr(r.out, "storage=\"q4\""));
    r = run("'%s' --emit=ir --quant=none", m);
    CHECK(r.status == 0 && !strstr(r.out, "storage=\"q"));
}

/* ---- report ---- */

static void check_matrix(const cJSON *matrix) {
    const cJSON *quant = cJSON_GetObjectItemCaseSensitive(matrix, "quant"), *f;
    double last = 0;
    cJSON_ArrayForEach(f, quant) { /* q8, q6, q4 */
        const cJSON *e = cJSON_GetObjectItemCaseSensitive(f, "error");
        if (!e) continue;
        CHECK(number(e, "weights") > last && number(e, "weights") < 0.2);
        CHECK(number(e, "outputs") != 0 && number(e, "outputs") < 0.3);
        last = number(e, "weights");
    }
}

static void check_reports(void) {
    const char *m = model("hf-mamba"), *json = at("report.json");
    Run r = run("quantize '%s' --report --tokens=20 --json='%s'", m, json);
    CHECK_PRINTS(r, "random ids, 20 tokens");
    CHECK_STR_CONTAINS(r.out, "--quant=q6");
    CHECK_STR_CONTAINS(r.out, "unquantised");
    CHECK(longest_line(r.out) <= 100);
    cJSON *o = cJSON_Parse(read_text(json)), *x;
    cJSON *models = cJSON_GetObjectItemCaseSensitive(o, "models");
    CHECK(cJSON_GetArraySize(models) == 4);
    double bytes = 1e9, error = 0;
    cJSON_ArrayForEach(x, models) {
        CHECK(number(x, "weights_bytes") < bytes);
        bytes = number(x, "weights_bytes");
        if (x == models->child) continue;
        CHECK(number(x, "error") > error && number(x, "error") < 1);
        CHECK(number(x, "divergence_bits") >= 0 && number(x, "same") <= 1);
        error = number(x, "error");
    }
    cJSON_ArrayForEach(x, cJSON_GetObjectItemCaseSensitive(o, "matrices")) check_matrix(x);
    cJSON_Delete(o);
    CHECK_PRINTS(run("quantize '%s' --report --quant=q4 --input='%s/expected.safetensors' --tokens=10", m, m),
                 "bits/token");
    if (have("hyena-order2")) /* features in, features out */
        CHECK_PRINTS(run("quantize '%s/model.safetensors' --report --tokens=9", model("hyena-order2")),
                     "random features");
}

static void check_wishes(void) {
    const char *m = model("hf-mamba"), *out = at("c.safetensors"), *text = at("text.txt");
    write_file(text, "In the beginning");
    CHECK_FAILS(run("quantize --report"), 2, "which model?");
    CHECK_FAILS(run("quantize '%s'", m), 2, "give --report or --calibrate");
    CHECK_FAILS(run("quantize '%s' --report --calibrate", m), 2, "give --report or --calibrate");
    CHECK_FAILS(run("quantize '%s' --report --quant=q5", m), 2, "--quant=q5: must be some of q8, q6 and q4");
    CHECK_FAILS(run("quantize '%s' --report --quant=q8,,q4", m), 2, "--quant=q8,,q4");
    CHECK_FAILS(run("quantize '%s' --report --quant=q8,q8", m), 2, "each once");
    CHECK_FAILS(run("quantize '%s' --report -o x", m), 2, "-o: is for --calibrate");
    CHECK_FAILS(run("quantize '%s' --report --text='%s' --tokens=5", m, text), 1, "are no bytes of text");
    CHECK_FAILS(run("quantize '%s' --report --target=aarch64-linux-gnu", m), 2, "on this machine only");
    CHECK_FAILS(run("quantize '%s' --calibrate --text=x", m), 2, "where to?");
    CHECK_FAILS(run("quantize '%s' --calibrate -o '%s'", m, out), 2, "what is to be read?");
    CHECK_FAILS(run("quantize '%s' --calibrate -o '%s' --text=x --input=y", m, out), 2, "give one of them");
    CHECK_FAILS(run("quantize '%s' --calibrate -o '%s' --text=x --quant=q4", m, out), 2,
                "--quant: is for --report");
    CHECK_FAILS(run("quantize '%s' --calibrate -o '%s' --input='%s/model.safetensors'", m, out, m), 1,
                "has no tensor \"input_ids\"");
    CHECK_FAILS(
        run("quantize '%s' --calibrate -o '%s' --input='%s/expected.safetensors' --tokens=9999", m, out, m),
        1, "9999 are needed");
    CHECK(access(out, F_OK) != 0);
}

/* ---- calibration ---- */

/* Made on a case, used on it: compiled code and the interpreter choose the same scales. */
static void check_use(const char *name, const char *rules) {
    if (!have(name)) return;
    const char *m = described(name, "use.json", rules), *c = at("use.safetensors");
    const char *ids = arena_printf(arena, "%s/expected.safetensors", model(name));
    CHECK_PRINTS(run("quantize '%s' --calibrate --input='%s' -o '%s'", m, ids, c), "are multiplied with");
    CHECK_PRINTS(run("verify '%s' --input='%s' --quant=q4 --math=f32 --calibration='%s'", m, ids, c),
                 "all agree");
    const char *with = at("with.so.weights"), *without = at("without.so.weights");
    CHECK(run("'%s' -o '%s' --weights=file --quant=q4 --quiet --calibration='%s'", m, at("with.so"), c)
              .status == 0);
    CHECK(run("'%s' -o '%s' --weights=file --quant=q4 --quiet", m, at("without.so")).status == 0);
    FileMap a, b;
    Diag d = diag_new(arena, stderr);
    if (!CHECK(file_map(&d, with, &a)) || !CHECK(file_map(&d, without, &b))) return;
    CHECK(a.size == b.size && memcmp(a.data, b.data, a.size) != 0);
    file_unmap(&a), file_unmap(&b);
    /* states and files of weights belong to one of them only */
    CHECK(run("'%s' -o '%s' --quant=q4 --name=m --calibration='%s'", m, at("with.h"), c).status == 0);
    CHECK(run("'%s' -o '%s' --quant=q4 --name=m", m, at("without.h")).status == 0);
    const char *x = strstr(read_text(at("with.h")), "M_FINGERPRINT"),
               *y = strstr(read_text(at("without.h")), "M_FINGERPRINT");
    CHECK(x && y && strncmp(x, y, strcspn(x, "\n")) != 0);
}

static void refuse_calibration(const char *file, const char *message) {
    const char *m = model("hf-mamba");
    Run r = run("'%s' -o '%s' --quant=q4 --calibration='%s'", m, at("x.so"), file);
    CHECK(r.status == 1 && !*r.out && access(at("x.so"), F_OK) != 0);
    CHECK_STR_CONTAINS(r.err, message);
    CHECK_STR_CONTAINS(r.err, file);
}

/* Of the same checkpoint, but with zeros. */
static void blank_calibration(const char *from, const char *to) {
    Diag d = diag_new(arena, stderr);
    WeightSet w;
    if (!CHECK(weights_open(&d, arena, from, &w))) return;
    RawTensor *t = arena_copy(arena, w.tensors, sizeof *t * (size_t)w.n);
    for (int i = 0; i < w.n; i++)
        if (t[i].dt == DT_F32) t[i].data = memset(arena_alloc(arena, t[i].bytes), 0, t[i].bytes);
    CHECK(safetensors_write(&d, arena, to, t, w.n));
    weights_close(&w);
}

static void check_calibration_errors(void) {
    const char *m = model("hf-mamba"), *c = at("other.safetensors");
    CHECK_FAILS(run("report '%s' --calibration='%s'", m, c), 2, "no matrix of this model is quantised");
    refuse_calibration(c, "no such file");
    refuse_calibration(arena_printf(arena, "%s/model.safetensors", m), "is no calibration");
    write_file(c, "not a safetensors file");
    refuse_calibration(c, "safetensors");
    if (!have("hf-llama")) return;
    const char *other = model("hf-llama");
    CHECK_PRINTS(run("quantize '%s' --calibrate --input='%s/expected.safetensors' -o '%s'", other, other, c),
                 "are multiplied with");
    blank_calibration(c, at("blank.safetensors"));
    CHECK_FAILS(run("'%s' -o '%s' --quant=q4 --calibration='%s'", other, at("x.so"), at("blank.safetensors")),
                1, "says nothing: all its numbers are 0");
    Run r = run("'%s' -o '%s' --quant=q4 --calibration='%s'", m, at("x.so"), c);
    CHECK(r.status == 1);
    CHECK_STR_CONTAINS(r.err, "has no tensor \"input_squares.");
}

/* A calibration of hf-mamba with one tensor written anew. */
static void refuse_tensor(int64_t size, float value, const char *message) {
    const char *m = model("hf-mamba"), *c = at("edited.safetensors");
    CHECK_PRINTS(run("quantize '%s' --calibrate --input='%s/expected.safetensors' -o '%s'", m, m, c),
                 "are multiplied with");
    Diag d = diag_new(arena, stderr);
    WeightSet w;
    if (!CHECK(weights_open(&d, arena, c, &w) && w.n > 1)) return;
    RawTensor *all = ARENA_ARRAY(arena, RawTensor, w.n);
    for (int i = 0; i < w.n; i++)
        all[i] = w.tensors[i], all[i].data = arena_copy(arena, w.tensors[i].data, w.tensors[i].bytes);
    int64_t n = size > 0 ? size : raw_tensor_count(&all[0]);
    float *values = ARENA_ARRAY(arena, float, n);
    for (int64_t i = 0; i < n; i++) values[i] = value;
    all[0].data = (const uint8_t *)values, all[0].bytes = sizeof *values * (size_t)n, all[0].rank = 1,
    all[0].dim[0] = n;
    int count = w.n;
    weights_close(&w);
    CHECK(safetensors_write(&d, arena, c, size < 0 ? all + 1 : all, size < 0 ? count - 1 : count));
    refuse_calibration(c, message);
}

/* One of another checkpoint with the same sizes is not this one's; one that does not say is named. */
static void check_source(void) {
    const char *m = model("hf-mamba"), *c = at("source.safetensors"), *other = at("mamba-2");
    CHECK_PRINTS(run("quantize '%s' --calibrate --input='%s/expected.safetensors' -o '%s'", m, m, c),
                 "are multiplied with");
    CHECK(!system(
        arena_printf(arena,
                     "cp -r '%s' '%s' && printf '\\1' | dd of='%s'/model.safetensors bs=1 conv=notrunc "
                     "seek=$(($(stat -c %%s '%s'/model.safetensors) - 3)) 2>/dev/null",
                     m, other, other, other)));
    const char *compile = "'%s' -o '%s' --quant=q4 --quiet --calibration='%s'";
    CHECK_FAILS(run(compile, other, at("x.so"), c), 1, "was made from another checkpoint than that of");
    CHECK(!system(arena_printf(arena, "cp '%s'/model.safetensors '%s'", m, other)));
    CHECK_PRINTS(run(compile, other, at("x.so"), c), "");
    CHECK(!system(arena_printf(arena, "rm -f '%s' && sed 's/\"source\":/\"sourcX\":/' '%s' > '%s'",
                               at("x.so"), c, at("old.safetensors"))));
    Run r = run(compile, m, at("y.so"), at("old.safetensors"));
    CHECK(r.status == 0);
    CHECK_STR_CONTAINS(r.err, "old.safetensors: warning: does not say which checkpoint it was made from");
}

int main(int argc, char **argv) {
    if (!begin(argc, argv)) return 2;
    if (have("hf-mamba")) {
        check_options();
        if (check_amount() != CHECK_FEW) check_attention();
        check_rules();
        check_reports();
        check_wishes();
        check_calibration_errors();
        check_source();
        refuse_tensor(3, 1, "expected [");
        refuse_tensor(0, -1, "must be a mean of squares");
        refuse_tensor(0, (float)INFINITY, "must be a mean of squares");
    }
    check_use("hf-mamba", "");
    if (check_amount() != CHECK_FEW) check_use("hf-mixtral", ""); /* stacks of tensors */
    if (check_amount() != CHECK_FEW)
        check_use("hf-recurrent-gemma", "\n  \"quant\": { \"*_gate_weight\": \"q4\" },");
    return finish("quantize");
}
