/* Compares compiled code with the interpreter, on the weights as they are stored.
 *
 * A model is compiled several times. First as shipped, with its outputs and states alone. Then with probes at the
 * borders of blocks: the code of the blocks is the same, so if outputs and states have the same bits as before, the
 * judgement holds for the shipped code. Then with probes on all values: fused ops come apart, so that the wrong op
 * can be named. Each compilation is judged segment by segment (judge.h). A prompt is also given in two calls, the
 * second of which begins in the middle of a sequence. */
#ifndef BTC_VERIFY_CODE_H
#define BTC_VERIFY_CODE_H

#include "judge.h"

/* Something that was compared. */
typedef struct CodeLine {
    const char *name;
    const char *note; /* behind it, or "" */
    Agreement g;
} CodeLine;

typedef struct CodeReport {
    TensorList got;  /* hidden.*, the output, states: in the order of execution */
    CodeLine *lines; /* of these */
    int nlines, lines_cap;
    int tensors, off; /* what was compared in all, values inside blocks included; how many do not agree */
    int64_t numbers;
    const char *where; /* the first block and op that is off, in words; or NULL */
} CodeReport;

/* Greedy decoding by the shipped code, too. */
typedef struct Greedy {
    const RawTensor *prompt;
    int64_t n, *ids; /* [n]: what comes out */
} Greedy;

/* greedy: or NULL. false: a message is filed. */
bool verify_code(Diag *d, Arena *a, const char *path, const VerifyOptions *o, const RawTensor *input,
                 Greedy *greedy, CodeReport *out);

#endif
