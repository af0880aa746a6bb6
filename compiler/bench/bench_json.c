/* btc bench --json: everything that was measured, in seconds, bytes and operations. */
#include "desc/json.h"
#include "measure.h"

static void add_number(cJSON *o, const char *key, double v) {
    cJSON_AddNumberToObject(o, key, v);
}

static void add_series(cJSON *o, const char *key, const Series *s) {
    Spread x = series_spread(s);
    cJSON *n = cJSON_AddObjectToObject(o, key);
    add_number(n, "median", x.median);
    add_number(n, "least", x.least);
    add_number(n, "most", x.most);
    cJSON_AddItemToObject(n, "all", cJSON_CreateDoubleArray(s->v, s->n));
}

static void add_work(cJSON *o, const Work *w) {
    cJSON *n = cJSON_AddObjectToObject(o, "work");
    add_number(n, "flops", w->flops);
    add_number(n, "weight_bytes", w->weights);
    add_number(n, "state_bytes", w->states);
    add_number(n, "value_bytes", w->values);
}

static cJSON *stage_json(const ProfileStage *s) {
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "block", s->block);
    cJSON_AddStringToObject(o, "value", s->value);
    cJSON_AddStringToObject(o, "ops", s->ops);
    if (s->form) cJSON_AddStringToObject(o, "form", s->form);
    add_number(o, "layers", (double)s->calls);
    add_number(o, "seconds", s->work);
    add_number(o, "seconds_longest", s->longest);
    add_number(o, "wait_seconds", s->wait);
    add_work(o, &s->load);
    return o;
}

static void add_profile(cJSON *o, const Profile *p) {
    cJSON *n = cJSON_AddObjectToObject(o, "profile");
    add_number(n, "seconds", p->wall);
    add_number(n, "stage_seconds", p->work);
    add_number(n, "wait_seconds", p->wait);
    add_number(n, "notes", (double)p->notes);
    cJSON *list = cJSON_AddArrayToObject(n, "stages");
    for (int i = 0; i < p->n; i++) cJSON_AddItemToArray(list, stage_json(&p->stages[i]));
}

static cJSON *run_json(const Bench *b, const Measured *m) {
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "run", m->form == FORM_STEP ? "decode" : "prefill");
    add_number(o, "threads", m->threads);
    add_number(o, "batch", m->batch);
    add_number(o, "tokens", m->tokens);
    add_series(o, "tokens_per_second", &m->rate);
    add_series(o, "seconds", &m->seconds);
    if (m->has_work) {
        add_work(o, &m->work);
        add_series(o, "of_bandwidth", &m->of_bandwidth);
        add_series(o, "of_peak", &m->of_peak);
    }
    if (b->o.profile) add_profile(o, &m->profile);
    return o;
}

char *bench_json(Arena *a, const Bench *b) {
    const btc_info *info = b->subject->api->info;
    cJSON *root = cJSON_CreateObject(), *model = cJSON_AddObjectToObject(root, "model"),
          *machine = cJSON_AddObjectToObject(root, "machine");
    cJSON_AddStringToObject(model, "name", info->name);
    cJSON_AddStringToObject(model, "target", info->target);
    cJSON_AddStringToObject(model, "cpu", info->cpu);
    add_number(model, "parameters", (double)info->parameters);
    add_number(model, "layers", (double)info->layers);
    add_number(model, "chunk", (double)info->chunk);
    add_number(model, "weight_bytes", (double)info->weights_bytes);
    add_number(model, "state_bytes", (double)info->state_bytes);
    if (b->subject->compiled && b->subject->compiled->tuning_from)
        cJSON_AddStringToObject(model, "tuning", b->subject->compiled->tuning_from);
    cJSON_AddStringToObject(machine, "cpu", b->machine);
    cJSON_AddStringToObject(machine, "vectors", b->vectors);
    cJSON *limits = cJSON_AddArrayToObject(machine, "limits");
    for (int i = 0; i < b->o.threads.n; i++) {
        cJSON *o = cJSON_CreateObject();
        add_number(o, "threads", b->limits[i].threads);
        add_series(o, "bandwidth", &b->limits[i].bandwidth);
        add_series(o, "peak", &b->limits[i].peak);
        cJSON_AddItemToArray(limits, o);
    }
    if (b->o.profile) add_number(root, "seconds_per_note", b->note_seconds);
    cJSON *runs = cJSON_AddArrayToObject(root, "runs");
    for (int i = 0; i < b->nruns; i++) cJSON_AddItemToArray(runs, run_json(b, &b->runs[i]));
    char *text = json_print(a, root);
    cJSON_Delete(root);
    return text;
}
