/* An expectation: a file with the outputs of the original implementation. */
#ifndef BTC_VERIFY_EXPECT_H
#define BTC_VERIFY_EXPECT_H

#include "verify_code.h"

typedef struct Expectation {
    WeightSet file;
    const RawTensor *prompt, *ids; /* greedy.*, or NULL */
    const double *tolerance;       /* for each tensor of the file: the user's; 0: by roundings; or NULL */
} Expectation;

/* Checks the input; opens the file (NULL: there is none), and checks that all of it can be compared with what
 * `model` gives for `input`: an error names what cannot, or says that there is nothing. */
bool expect_open(Diag *d, Arena *a, const char *file, const char *path, const VerifyOptions *o,
                 const RawTensor *input, Expectation *out);

/* Whether all these are names of what the model gives; an error names the first that is not. */
bool expect_names(Diag *d, Arena *a, const char *path, const VerifyOptions *o, const char *file,
                  const char *const *names, int n);

/* One tensor of it, compared. */
typedef struct ExpectLine {
    const char *name, *note;
    Agreement g;
} ExpectLine;

typedef struct ExpectReport {
    ExpectLine *lines;
    int n;
    bool rounded; /* weights, states or what is multiplied are rounded: the interpreter was compared, with
                     the checkpoint's own numbers */
    int off;
    int64_t numbers;
    int first_block;        /* that is off: 0: what the first block gets; -1: none */
    const char *first_name; /* its function, or NULL */
    bool has_greedy, greedy_ok;
    int64_t same; /* greedy ids */
} ExpectReport;

/* got: what compiled code, or the interpreter, gave. greedy: ids that it chose, or NULL. */
bool expect_compare(Diag *d, Arena *a, const char *path, const VerifyOptions *o, const RawTensor *input,
                    const Expectation *e, const TensorList *got, const int64_t *greedy, ExpectReport *out);

#endif
