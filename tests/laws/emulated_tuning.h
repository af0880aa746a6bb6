/* Tuning parameters on aarch64 under an emulator, by btc verify. */
#ifndef BTC_TESTS_LAWS_EMULATED_TUNING_H
#define BTC_TESTS_LAWS_EMULATED_TUNING_H

#include "cli/tuning.h"

static const char EMULATED[] = "--target=aarch64-linux-gnu";

static inline bool have_emulator(void) {
    bool yes = system("command -v qemu-aarch64-static aarch64-linux-gnu-gcc >/dev/null") == 0;
    if (!yes) printf("tuned: skipped aarch64: no emulator\n");
    return yes;
}

/* The model with these parameters agrees with the interpreter; its outputs go into the file `to`. */
static inline bool emulated_agrees(const Machine *there, const char *m, const char *options, const Tuning *t,
                                   const char *to) {
    Run r = run("verify '%s' %s --input='%s/expected.safetensors' --tuning='%s' --write='%s' %s", m, EMULATED,
                m, tuning_file_for("emulated.json", there, t, -1), at(to), options);
    if (r.status) fprintf(stderr, "    %s %s: %s%s", m, options, r.out, r.err);
    return r.status == 0;
}

/* And has the bits that `usual` has, unless a parameter was changed that cuts sums elsewhere. */
static inline bool emulated_holds(const Machine *there, const char *m, const char *options, const Tuning *t,
                                  bool bits) {
    if (!emulated_agrees(there, m, options, t, "tuned")) return false;
    if (!bits) return true;
    return emulated_agrees(there, m, options, &there->usual, "usual") && same_files(at("usual"), at("tuned"));
}

#endif
