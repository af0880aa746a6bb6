/* libFuzzer target: any bytes as the config.json of a checkpoint folder. They are refused by messages, or
 * give a model whose module verifies. The weights are those of a conformance case: the one whose "model_type"
 * the bytes name, so that importers get past the first tensor. Seeds: corpus/config. */
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/temp.h"
#include "model.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const CASES[][2] = {
    {"\"mamba\"", "hf-mamba"},         {"\"falcon_mamba\"", "hf-falcon-mamba"},
    {"\"mamba2\"", "hf-mamba2"},       {"\"recurrent_gemma\"", "hf-recurrent-gemma"},
    {"\"mixtral\"", "hf-mixtral"},     {"\"qwen3\"", "hf-qwen3"},
    {"\"mistral\"", "hf-mistral-swa"}, {"", "hf-llama"}};

static char folder[] = "/tmp/btc-fuzz-config-XXXXXX"; /* with a config.json and one link to weights */
static char weights[PATH_MAX], config[PATH_MAX], cases[PATH_MAX / 2];

static void clean(void) {
    unlink(weights);
    unlink(config);
    rmdir(folder);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    if (!realpath("tests/conformance", cases) || !mkdtemp(folder)) abort();
    snprintf(weights, sizeof weights, "%s/model.safetensors", folder);
    snprintf(config, sizeof config, "%s/config.json", folder);
    atexit(clean);
    return 0;
}

/* The first case whose word the text holds; the last one's is in every text. */
static const char *case_for(const uint8_t *data, size_t size) {
    int i = 0;
    while (!memmem(data, size, CASES[i][0], strlen(CASES[i][0]))) i++;
    return CASES[i][1];
}

static void make_folder(const uint8_t *data, size_t size) {
    char target[PATH_MAX];
    snprintf(target, sizeof target, "%s/%s/model.safetensors", cases, case_for(data, size));
    FILE *f = fopen(config, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f)) abort();
    unlink(weights);
    if (symlink(target, weights)) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 1 << 14) return 0;
    make_folder(data, size);
    Arena *a = arena_new();
    Diag d = diag_new(a, NULL);
    Model m;
    bool ok = model_open(&d, a, folder, &(ModelOptions){0}, &m);
    if (ok != (d.errors == 0)) abort(); /* no model without a message, no message with a model */
    if (ok && !ir_verify(&d, m.module)) abort();
    model_close(&m);
    arena_free(a);
    return 0;
}
