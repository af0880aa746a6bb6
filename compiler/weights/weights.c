/* Finds the container files of a path: one file, an index with its shards, or a folder. The set of tensors stays sorted
 * by name after every file, so that finding is a binary search. */
#include "weights.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "container.h"
#include "desc/json.h"

/* ---- paths ---- */

static bool ends_with(const char *s, const char *end) {
    size_t n = strlen(s), m = strlen(end);
    return n >= m && !strcmp(s + n - m, end);
}

static bool is_index(const char *s) {
    return ends_with(s, ".index.json");
}
static bool is_pth(const char *s) {
    return ends_with(s, ".pth") || ends_with(s, ".pt") || ends_with(s, ".bin") || ends_with(s, ".ckpt");
}
static bool is_safetensors(const char *s) {
    return ends_with(s, ".safetensors");
}
static bool is_gguf(const char *s) {
    return ends_with(s, ".gguf");
}
static bool is_container(const char *s) {
    return is_index(s) || is_pth(s) || is_safetensors(s) || is_gguf(s);
}

static const char *join(Arena *a, const char *folder, const char *name) {
    const char *slash = !*folder || ends_with(folder, "/") ? "" : "/";
    return arena_printf(a, "%s%s%s", folder, slash, name);
}

static const char *folder_of(Arena *a, const char *file) {
    const char *slash = strrchr(file, '/');
    return slash ? arena_strndup(a, file, (size_t)(slash - file) + 1) : "";
}

static int by_text(const void *x, const void *y) {
    return strcmp(*(const char *const *)x, *(const char *const *)y);
}

/* What a training run leaves beside the model, and the numbers that a model is tested with. */
static bool is_no_model(const char *name) {
    static const char *const begins[] = {"optimizer", "optim_",        "scheduler",     "scaler",
                                         "rng_state", "training_args", "trainer_state", "expected"};
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++)
        if (!strncmp(name, begins[i], strlen(begins[i]))) return true;
    return false;
}

/* Which of the files of one name goes first: the order in which libraries ask for them. */
static int rank_of(const char *name) {
    return is_safetensors(name) ? 0 : is_index(name) ? 1 : is_pth(name) ? 2 : 3;
}

static size_t stem_length(const char *name) {
    return (size_t)(strrchr(name, '.') - name);
}

/* Whether another one is the same model in a format that goes first. */
static bool is_copy(const char *const *names, int n, const char *name) {
    for (int i = 0; i < n; i++)
        if (stem_length(names[i]) == stem_length(name) && !strncmp(names[i], name, stem_length(name)) &&
            rank_of(names[i]) < rank_of(name))
            return true;
    return false;
}

/* Keeps those for which `drop` does not hold, unless it holds for all. */
static int without(const char **names, int n, bool (*drop)(const char *name)) {
    int kept = 0;
    for (int i = 0; i < n; i++) kept += !drop(names[i]);
    if (!kept) return n;
    kept = 0;
    for (int i = 0; i < n; i++)
        if (!drop(names[i])) names[kept++] = names[i];
    return kept;
}

/* The checkpoint files in a folder ("" is the current one), sorted; GGUF files where there are no others. */
static const char **list_folder(Arena *a, const char *folder, int *count) {
    const char **names = NULL;
    int n = 0, cap = 0;
    DIR *dir = opendir(*folder ? folder : ".");
    for (struct dirent *e; dir && (e = readdir(dir));)
        if (is_container(e->d_name)) ARENA_PUSH(a, names, n, cap, arena_strdup(a, e->d_name));
    if (dir) closedir(dir);
    n = without(names, n, is_gguf);
    if (n) qsort(names, (size_t)n, sizeof *names, by_text);
    *count = n;
    return names;
}

static bool no_such_file(Diag *d, Arena *a, const char *path) {
    const char *slash = strrchr(path, '/');
    int n = 0;
    const char **names = list_folder(a, folder_of(a, path), &n);
    return diag_error(d, (Loc){.file = path}, "no such file or folder%s",
                      diag_did_you_mean(a, slash ? slash + 1 : path, names, n));
}

/* Containers of others: what to do with them. */
static const struct {
    const char *ending, *advice;
} FOREIGN[] = {
    {".h5", "Keras and TensorFlow files are not read: save the model as .safetensors"},
    {".msgpack", "Flax files are not read: save the model as .safetensors"},
    {".onnx", "ONNX graphs are not read: give the checkpoint that it was exported from"},
    {".tflite", "TensorFlow Lite graphs are not read: give the checkpoint that it was exported from"},
    {".npz", "NumPy archives are not read: save the arrays as .safetensors (Python: safetensors.numpy)"},
};

const char *weights_foreign(const char *file) {
    for (size_t i = 0; i < sizeof FOREIGN / sizeof *FOREIGN; i++)
        if (ends_with(file, FOREIGN[i].ending)) return FOREIGN[i].advice;
    return NULL;
}

static bool holds_gguf(const FileMap *m) {
    return m->size >= 4 && !memcmp(m->data, "GGUF", 4);
}

bool weights_are_gguf(const WeightSet *w) {
    return w->nmaps == 1 && holds_gguf(&w->maps[0]);
}

static bool add_container(Diag *d, WeightSet *w, const char *path) {
    const char *file = arena_strdup(w->arena, path);
    Loc loc = {.file = file};
    FileMap m;
    if (!file_map(d, file, &m)) return false;
    ARENA_PUSH(w->arena, w->maps, w->nmaps, w->maps_cap, m);
    if (m.size == 0) return diag_error(d, loc, "is empty: expected a checkpoint");
    static const char lfs[] = "version https://git-lfs";
    if (m.size > sizeof lfs && !memcmp(m.data, lfs, sizeof lfs - 1))
        return diag_error(d, loc,
                          "is a Git LFS pointer, not the checkpoint itself: fetch it with git lfs pull");
    bool zip = m.size >= 4 && !memcmp(m.data, "PK\3\4", 4);
    if (holds_gguf(&m) || is_gguf(file)) return gguf_read(d, w, file, m.data, m.size);
    if (zip || is_pth(file)) return pth_read(d, w, file, m.data, m.size);
    const char *foreign = weights_foreign(file);
    if (foreign) return diag_error(d, loc, "%s", foreign);
    if (is_safetensors(file)) return safetensors_read(d, w, file, m.data, m.size);
    return diag_error(d, loc,
                      "is not a checkpoint: expected .safetensors, .pth, .pt, .bin or .index.json (or, as "
                      "weights of a description, .gguf)");
}

/* ---- an index and its shards ---- */

typedef struct Placed {
    const char *tensor, *shard;
} Placed;

static int by_tensor(const void *x, const void *y) {
    return strcmp(((const Placed *)x)->tensor, ((const Placed *)y)->tensor);
}

/* The pairs of weight_map, sorted by tensor. */
static bool read_weight_map(Diag *d, Arena *a, const char *file, const cJSON *map, Placed **out, int *count) {
    Placed *p = NULL;
    int n = 0, cap = 0;
    for (const cJSON *e = map->child; e; e = e->next) {
        Loc loc = container_loc(file, container_clean(a, e->string, strlen(e->string)));
        if (!cJSON_IsString(e)) return diag_error(d, loc, "must be the name of a shard file");
        const char *s = e->valuestring;
        if (!*s || strchr(s, '/') || !strncmp(s, "..", 2) || !strcmp(s, "."))
            return diag_error(d, loc, "shard \"%s\" must be a file beside the index, not a path",
                              container_clean(a, s, strlen(s)));
        if (is_index(s))
            return diag_error(d, loc, "shard \"%s\" is an index itself", container_clean(a, s, strlen(s)));
        if (!container_check_name(d, a, file, e->string)) return false;
        Placed one = {arena_strdup(a, e->string), arena_strdup(a, s)};
        ARENA_PUSH(a, p, n, cap, one);
    }
    if (!n) return diag_error(d, (Loc){.file = file}, "weight_map is empty: no tensor is named");
    qsort(p, (size_t)n, sizeof *p, by_tensor);
    *out = p, *count = n;
    return true;
}

static bool parse_index(Diag *d, Arena *a, const char *file, const FileMap *m, Placed **out, int *count) {
    Json json = {0};
    bool ok = json_parse(d, a, file, (const char *)m->data, m->size, 0, &json);
    const cJSON *map = json_get(json.root, "weight_map");
    if (ok && !cJSON_IsObject(map))
        ok = diag_error(d, (Loc){.file = file},
                        "must have an object \"weight_map\" from tensor names to shard files");
    ok = ok && read_weight_map(d, a, file, map, out, count);
    json_free(&json);
    return ok;
}

/* Says why the tensor is not where weight_map has it. */
static bool misplaced(Diag *d, WeightSet *w, const char *index, const Placed *p, const char *shard,
                      const RawTensor *found) {
    Loc loc = container_loc(index, p->tensor);
    if (found) return diag_error(d, loc, "weight_map has it in %s, but it is in %s", shard, found->file);
    const char **names = ARENA_ARRAY(w->arena, const char *, w->n);
    int n = 0;
    for (int i = 0; i < w->n; i++)
        if (!strcmp(w->tensors[i].file, shard)) names[n++] = w->tensors[i].name;
    return diag_error(d, loc, "weight_map has it in %s, which holds no such tensor%s", shard,
                      diag_did_you_mean(w->arena, p->tensor, names, n));
}

static bool add_shard(Diag *d, WeightSet *w, const char *index, const char *folder, const Placed *p) {
    const char *path = join(w->arena, folder, p->shard);
    if (file_exists(path)) return add_container(d, w, path);
    path = container_clean(w->arena, path, strlen(path));
    int n = 0;
    const char **near = list_folder(w->arena, folder, &n);
    return diag_error(d, container_loc(index, p->tensor), "its shard %s is not there%s", path,
                      diag_did_you_mean(w->arena, p->shard, near, n));
}

static bool add_index(Diag *d, WeightSet *w, const char *file) {
    Arena *a = w->arena;
    Placed *p = NULL;
    const char **shards = NULL;
    int n = 0, nshards = 0, cap = 0;
    FileMap m;
    if (!file_map(d, file, &m)) return false;
    bool ok = parse_index(d, a, file, &m, &p, &n);
    file_unmap(&m);
    if (!ok) return false;
    const char *folder = folder_of(a, file);
    for (int i = 0; i < n; i++) {
        int s = 0;
        while (s < nshards && strcmp(shards[s], p[i].shard)) s++;
        if (s < nshards) continue;
        ARENA_PUSH(a, shards, nshards, cap, p[i].shard);
        if (!add_shard(d, w, file, folder, &p[i])) return false;
    }
    for (int i = 0; i < n; i++) {
        const char *shard = join(a, folder, p[i].shard);
        const RawTensor *t = weights_find(w, p[i].tensor);
        if (!t || strcmp(t->file, shard)) return misplaced(d, w, file, &p[i], shard, t);
    }
    return true;
}

/* ---- folders ---- */

/* Says what the folder has instead. */
static bool no_checkpoint(Diag *d, Arena *a, const char *folder) {
    DIR *dir = opendir(*folder ? folder : ".");
    const char *foreign = NULL, *other = NULL;
    for (struct dirent *e; dir && (e = readdir(dir));) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        if (!other || strcmp(e->d_name, other) < 0) other = arena_strdup(a, e->d_name);
        for (size_t i = 0; i < sizeof FOREIGN / sizeof *FOREIGN; i++)
            if (ends_with(e->d_name, FOREIGN[i].ending) && (!foreign || strcmp(e->d_name, foreign) < 0))
                foreign = arena_strdup(a, e->d_name);
    }
    if (dir) closedir(dir);
    if (foreign) {
        const char *file = join(a, folder, foreign);
        return diag_error(d, (Loc){.file = file}, "%s", weights_foreign(file));
    }
    return diag_error(d, (Loc){.file = folder},
                      "the folder holds no checkpoint%s: expected model.safetensors, "
                      "model.safetensors.index.json, or one .safetensors, .pth, .pt, .ckpt or .bin file (or, "
                      "as weights of a "
                      "description, .gguf)",
                      other ? "" : ", it is empty");
}

static bool is_read(const WeightSet *w, const char *path) {
    for (int i = 0; i < w->n; i++)
        if (!strcmp(w->tensors[i].file, path)) return true;
    return false;
}

/* Files that are by their names weights of a model, and were not read: shards that no index names, adapters,
 * and the same model in another format. */
static bool name_unread(Diag *d, const WeightSet *w, const char *folder, const char *chosen) {
    static const char *const names[] = {"model", "pytorch_model", "consolidated", "adapter_model"};
    int n = 0;
    const char **files = list_folder(w->arena, folder, &n);
    for (int i = 0; i < n; i++) {
        const char *path = join(w->arena, folder, files[i]);
        bool model = false;
        for (int k = 0; k < 4; k++) model |= !strncmp(files[i], names[k], strlen(names[k]));
        model |= is_copy(&chosen, 1, files[i]);
        if (!model || is_index(files[i]) || is_read(w, path)) continue;
        if (!strncmp(files[i], "adapter", 7))
            diag_warning(d, (Loc){.file = path}, "is not applied: merge the adapter into the weights first");
        else if (strstr(files[i], "-of-"))
            diag_warning(d, (Loc){.file = path}, "is not read: %s does not name it", chosen);
        else if (!strstr(d->log.s ? d->log.s : "", path))
            diag_note(d, (Loc){.file = path}, "is not read: %s goes before it", chosen);
    }
    return true;
}

static bool add_file(Diag *d, WeightSet *w, const char *path) {
    return is_index(path) ? add_index(d, w, path) : add_container(d, w, path);
}

/* Parts of one model that nothing puts together: what is missing. NULL: they are none. */
static const char *parts_without(const char *const *names, int n) {
    bool shards = true, cut = true;
    for (int i = 0; i < n; i++) {
        shards &= strstr(names[i], "-of-") != NULL;
        cut &= !strncmp(names[i], "consolidated.0", 14);
    }
    if (shards)
        return "which are shards: the index that names them (model.safetensors.index.json) is missing";
    if (cut) return "which hold parts of each tensor: convert them with the script of transformers";
    return NULL;
}

/* A folder without the names that transformers gives: the one file that can be meant, or a list of them. */
static bool add_only_file(Diag *d, WeightSet *w, const char *folder) {
    int n = 0, kept = 0;
    const char **names = list_folder(w->arena, folder, &n);
    if (n == 0) return no_checkpoint(d, w->arena, folder);
    n = without(names, n, is_no_model);
    const char **first = ARENA_ARRAY(w->arena, const char *, n);
    for (int i = 0; i < n; i++)
        if (!is_copy(names, n, names[i])) first[kept++] = names[i];
    if (kept == 1)
        return add_file(d, w, join(w->arena, folder, first[0])) && name_unread(d, w, folder, first[0]);
    Text list = text_new(w->arena);
    for (int i = 0; i < kept && i < 6; i++) text_add(&list, "%s%s", i ? ", " : "", first[i]);
    const char *parts = parts_without(first, kept);
    return diag_error(d, (Loc){.file = folder}, "the folder holds %d checkpoint files (%s%s)%s%s", kept,
                      list.s, kept > 6 ? ", ..." : "", parts ? ", " : ": name the one to read, as in ",
                      parts ? parts : join(w->arena, folder, first[0]));
}

static bool add_folder(Diag *d, WeightSet *w, const char *folder) {
    static const char *const usual[] = {"model.safetensors", "model.safetensors.index.json",
                                        "pytorch_model.bin", "pytorch_model.bin.index.json",
                                        "model.pth",         "model.pt"};
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        const char *path = join(w->arena, folder, usual[i]);
        if (file_exists(path)) return add_file(d, w, path) && name_unread(d, w, folder, usual[i]);
    }
    return add_only_file(d, w, folder);
}

static bool add_path(Diag *d, WeightSet *w, const char *path) {
    if (file_is_folder(path)) return add_folder(d, w, path);
    if (!file_exists(path)) return no_such_file(d, w->arena, path);
    return add_file(d, w, path);
}

bool weights_add(Diag *d, WeightSet *w, const char *path) {
    return add_path(d, w, path) && weights_join_mxfp4(d, w);
}

bool weights_open(Diag *d, Arena *a, const char *path, WeightSet *out) {
    *out = (WeightSet){.arena = a, .name = arena_strdup(a, path)};
    return weights_add(d, out, path);
}

void weights_release(const WeightSet *w, const void *p, size_t n) {
    for (int i = 0; i < w->nmaps; i++)
        if ((const uint8_t *)p >= w->maps[i].data && (const uint8_t *)p < w->maps[i].data + w->maps[i].size)
            file_map_release(&w->maps[i], p, n);
}

void weights_close(WeightSet *w) {
    for (int i = 0; i < w->nmaps; i++) file_unmap(&w->maps[i]);
    *w = (WeightSet){.arena = w->arena, .name = w->name};
}
