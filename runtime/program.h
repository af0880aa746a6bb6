/* Inside the programs that btc makes: the command line, and the three things a program can do. */
#ifndef BTC_PROGRAM_H
#define BTC_PROGRAM_H

#include <stdbool.h>
#include <stdio.h>

#include "btc.h"

typedef struct Options {
    const char *prompt;         /* NULL: none given */
    const char *ids;            /* "1,2,3" */
    const char *bits_per_byte;  /* a file */
    const char *input, *output; /* features: files; NULL: stdin, stdout */
    const char *dump;           /* a file: write all that is computed */
    const char *form;           /* of --dump: "chunk" or "step" */
    const char *weights;
    int64_t tokens;
    bool tokens_given;
    double temperature, top_p;
    int64_t top_k;
    uint64_t seed;
    int32_t threads;
    bool stream, quiet, stop_at_eos, info;
} Options;

/* A loaded model with one sequence. */
typedef struct Program {
    const char *name; /* of the program, for messages */
    const btc_api *api;
    const btc_info *info;
    btc_model model;
    void *state, *work;
    Options opt;
    int status;         /* the exit status after a failure; 0: 1 */
    bool warned_of_nan; /* some logits were NaN, which was said */
} Program;

/* The exit status where the numbers that the model gives allow no answer. */
enum { EXIT_NOT_FINITE = 3 };

/* options.c. false: nothing more to do, *status is the exit status. */
bool options_read(int argc, char **argv, const btc_info *info, Options *o, int *status);
void options_print_info(const btc_info *info, int32_t threads);

/* program.c */
bool fail(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* prints a message; false */
void *get_memory(size_t bytes); /* aligned to 64; ends the program with a message when there is none */
double now(void);               /* seconds */
bool rows_fit(const Program *p, int64_t n); /* the context has room for n more rows; with message */
bool run_rows(Program *p, const void *input, int64_t n, float *last, float *all); /* prefill, with message */
/* Says once that some of the logits for position `at` are NaN. */
void warn_of_nan(Program *p, const float *logits, int64_t at);
/* The logits for position `at` decide nothing: message; false. */
bool fail_not_finite(Program *p, const char *what, int64_t at);
bool finish_output(FILE *f, const char *name); /* flushes and closes; says so if the disk was full */

/* generate.c, stream.c, dump.c */
bool read_prompt(Program *p, int32_t **ids, int64_t *n); /* *ids is the caller's to free */
bool program_generate(Program *p);                       /* prompt in, tokens out */
bool program_bits_per_byte(Program *p);                  /* how well the model predicts a file */
bool program_features(Program *p);                       /* rows in, rows out */
bool program_dump(Program *p); /* all that the model computes for one sequence, into a file */

#endif
