/* The packer on a model of 30 MB, so that there are many segments: it writes what each tensor packed alone
 * and at once gives, with nothing but zeros between, for any number of CPUs and wherever in a file it lands.
 * Stacked tensors, a long filter that is packed as one, values that are computed, conversions and odd sizes
 * are among it. */
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "compile.h"
#include "pack/pack_source.h"
#include "pack/packer.h"

static Arena *arena;
static Diag diag;
static char folder[] = "/tmp/btc-test-packer-XXXXXX";

static const char description[] =
    "{'btc':1,'name':'wide','weights':'model.safetensors','dims':{'V':3001,'D':528,'F':1040,'E':3,'L':512},"
    "'input':{'tokens':'V'},'blocks':{'layer':{'ops':["
    "{'out':'u','op':'norm.rms','x':'x','w':'@norm[D]','eps':1e-5},"
    "{'out':'s','op':'linear','x':'u','w':'@gate[E,D]'},"
    "{'out':['p','i'],'op':'topk','x':'s','k':2},"
    "{'out':'g','op':'linear.experts','x':'u','index':'i','w':'@e.{0..E}.up[E,F,D]'},"
    "{'out':'g','op':'linear.experts','x':'g','index':'i','w':'@e.{0..E}.down[E,D,F]'},"
    "{'out':'g','op':'combine','x':'g','w':'p'},"
    "{'out':'x','map':'x + g * exp(@scale[D])'},"
    /* moved about: rows by turns, turned matrices, parts of a stack */
    "{'out':'w','op':'reshape','x':'@fused[E,2*F,D]','shape':['E','F',2,'D']},"
    "{'out':'w','op':'slice','x':'w','axis':2,'start':1,'size':1},"
    "{'out':'w','op':'reshape','x':'w','shape':['E','F','D']},"
    "{'out':'g','op':'linear.experts','x':'u','index':'i','w':'w'},"
    "{'out':'w','op':'transpose','x':'@turned[E,F,D]','perm':[0,2,1]},"
    "{'out':'g','op':'linear.experts','x':'g','index':'i','w':'w'},"
    "{'out':'w','op':'slice','x':'@e.{0..E}.up[E,F,D]','axis':1,'start':'F-D','size':'D'},"
    "{'out':'g','op':'linear.experts','x':'g','index':'i','w':'w'},"
    "{'out':'g','op':'combine','x':'g','w':'p'},"
    "{'out':'x','map':'x + g'},"
    "{'out':'y','op':'conv.long','x':'x','h':'@filter[D,L]','state':'past'},"
    "{'out':'x','map':'x + y'}]}},"
    "'model':[{'out':'x','op':'embed','ids':'tokens','table':'@emb[V,D]'},"
    "{'layers':2,'pattern':['layer'],'prefix':'l.{i}.'},"
    "{'out':'logits','op':'linear','x':'x','w':'@head[V,D]'}],'output':'logits'}";

static char *path(const char *name) {
    return arena_printf(arena, "%s/%s", folder, name);
}

static RawTensor *tensors;
static int ntensors, tensors_cap;

static void add_tensor(const char *name, DType dt, int64_t rows, int64_t cols) {
    static uint32_t seed = 1;
    RawTensor t = {.name = name, .dt = dt, .rank = cols ? 2 : 1, .dim = {rows, cols}};
    int64_t n = rows * (cols ? cols : 1);
    t.bytes = (size_t)n * dtype_size(dt);
    uint8_t *data = arena_alloc(arena, t.bytes);
    for (int64_t i = 0; i < n; i++, seed = seed * 1664525 + 1013904223)
        dtype_store(dt, data, i, (double)(seed >> 8) / 0x1p24 - 0.5);
    t.data = data;
    ARENA_PUSH(arena, tensors, ntensors, tensors_cap, t);
}

static void add_stack(const char *name, DType dt, int64_t n, int64_t rows, int64_t cols) {
    add_tensor(name, dt, n * rows, cols);
    RawTensor *t = &tensors[ntensors - 1];
    t->rank = 3, t->dim[0] = n, t->dim[1] = rows, t->dim[2] = cols;
}

static void write_model(void) {
    add_tensor("emb", DT_F32, 3001, 528);
    add_tensor("head", DT_BF16, 3001, 528);
    for (int l = 0; l < 2; l++) {
#define NAME(...) arena_printf(arena, __VA_ARGS__)
        add_tensor(NAME("l.%d.norm", l), DT_F32, 528, 0);
        add_tensor(NAME("l.%d.scale", l), DT_BF16, 528, 0);
        add_tensor(NAME("l.%d.gate", l), DT_BF16, 3, 528);
        add_tensor(NAME("l.%d.filter", l), DT_F32, 528, 512);
        add_stack(NAME("l.%d.fused", l), DT_BF16, 3, 2080, 528);
        add_stack(NAME("l.%d.turned", l), DT_BF16, 3, 1040, 528);
        for (int e = 0; e < 3; e++) { /* one expert of another type */
            add_tensor(NAME("l.%d.e.%d.up", l, e), e == 1 ? DT_F32 : DT_BF16, 1040, 528);
            add_tensor(NAME("l.%d.e.%d.down", l, e), DT_BF16, 528, 1040);
        }
    }
    CHECK(safetensors_write(&diag, arena, path("model.safetensors"), tensors, ntensors));
    char *text = arena_strdup(arena, description);
    for (char *s = text; *s; s++)
        if (*s == '\'') *s = '"';
    CHECK(write_text(&diag, arena, path("model.json"), text, strlen(text)));
}

static bool write_file(const Packer *p, int64_t at, const char *want, const char *name) {
    OutFile o;
    if (!out_open(&diag, arena, path(name), &o)) return false;
    btc_checksum sum;
    bool words = at % 8 == 0;
    if (packer_write((void *)(uintptr_t)p, &o, at, words ? &sum : NULL)) {
        btc_checksum all = btc_checksum_part(want, (uint64_t)p->schedule->weight_bytes / 8, 0);
        CHECK(!words || (sum.sum == all.sum && sum.sums == all.sums));
        return out_commit(&o, false);
    }
    out_abandon(&o);
    return false;
}

/* What is moved about is what the interpreter makes of it. */
static void check_moved(const Packer *p, const Source *s, const PackSource *values) {
    const Func *f = ir_func_find(p->model->module, attr_str(s->item->leaf, "func", ""));
    Env env = model_env(p->model);
    Arena *a = arena_new();
    Tensor want;
    bool same = interp_constant(&diag, a, &env, f, s->value, s->prefix, &want);
    for (int64_t i = 0; same && i < type_count(values->type); i++)
        same = want.data[i] == dtype_load(values->numbers.dt, values->numbers.data, i);
    CHECK(same);
    arena_free(a);
}

/* The whole result, tensor after tensor. */
static char *expected(const Packer *p) {
    int moved = 0;
    char *all = arena_alloc(arena, (size_t)p->schedule->weight_bytes);
    for (int i = 0; i < p->schedule->ncalls; i++) {
        const BlockCall *call = &p->schedule->calls[i];
        for (int k = 0; k < call->packs->n; k++) {
            const PackItem *it = &call->packs->items[k];
            Source s;
            PackSource values;
            if (!CHECK(source_find(&diag, p->model, it, call->prefix, p->target, &s))) return all;
            if (s.count == 1 && !s.strided)
                values = s.tensors[0];
            else if (!CHECK(source_gather(&diag, arena, p->model, &s, &values)))
                return all;
            if (s.strided) check_moved(p, &s, &values);
            moved += s.strided && s.direct;
            pack_write(it->kind, &values, it->format, p->target, 0,
                       pack_slices(it->kind, values.type, p->target), all + call->weights + it->offset);
        }
    }
    CHECK(moved == 6); /* none of them was computed in double */
    return all;
}

static void check_file(const Packer *p, int64_t at, const char *want) {
    FileMap m;
    CHECK(write_file(p, at, want, "weights"));
    if (!CHECK(file_map(&diag, path("weights"), &m))) return;
    CHECK((int64_t)m.size == at + p->schedule->weight_bytes);
    CHECK((int64_t)m.size == at + p->schedule->weight_bytes &&
          !memcmp(m.data + at, want, (size_t)p->schedule->weight_bytes));
    file_unmap(&m);
}

static void check_packing(const char *dtype) {
    Model m;
    Compiled c;
    ModelOptions o = {.dtype = dtype};
    CompileOptions options = {.quiet = true};
    if (!CHECK(model_open(&diag, arena, path("model.json"), &o, &m)) ||
        !CHECK(compile_lower(&diag, &m, &options, &c)))
        return;
    Packer p = {&diag, &m, &c.lowered.schedule, &c.lower};
    const char *want = expected(&p);
    uint64_t contents = model_contents(&m);
    cpu_set_t all, one;
    CPU_ZERO(&one);
    sched_getaffinity(0, sizeof all, &all);
    for (size_t i = 0; i < CPU_SETSIZE && !CPU_COUNT(&one); i++)
        if (CPU_ISSET(i, &all)) CPU_SET(i, &one);
    static const int64_t places[] = {0, 64, 4096, (4 << 20) - 64, 12345};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) check_file(&p, places[i], want);
    sched_setaffinity(0, sizeof one, &one);
    check_file(&p, 64, want);
    CHECK(model_contents(&m) == contents);
    sched_setaffinity(0, sizeof all, &all);
    model_close(&m);
}

int main(void) {
    arena = arena_new();
    diag = diag_new(arena, stderr);
    if (!mkdtemp(folder)) return perror(folder), 1;
    write_model();
    check_packing(NULL);
    check_packing("bf16");
    unlink(path("weights"));
    unlink(path("model.json"));
    unlink(path("model.safetensors"));
    rmdir(folder);
    arena_free(arena);
    return check_report("packer");
}
