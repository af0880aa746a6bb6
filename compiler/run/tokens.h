/* Inputs for measurements: the bytes of a text, ids or features from a file, or random ones. */
#ifndef BTC_TOKENS_H
#define BTC_TOKENS_H

#include "model.h"

typedef struct TokenSource {
    const char *text;  /* a file whose bytes are the tokens, for models of bytes; or NULL */
    const char *input; /* a safetensors file as btc verify takes it: input_ids [batch, tokens], or input
                          [batch, tokens, width]; its first sequence is read; or NULL */
} TokenSource;         /* both NULL: random */

typedef struct Tokens {
    bool ids;      /* int32_t; else float features */
    int64_t width; /* numbers of a row; ids: 1 */
    int64_t n;     /* rows */
    void *data;    /* [n, width], 4 bytes each */
} Tokens;

/* At least `least` rows and at most `most`; fewer than `least` in the source is an error. In the arena. */
bool tokens_read(Diag *d, Arena *a, const Module *m, const TokenSource *s, int64_t least, int64_t most,
                 Tokens *out);
/* For messages and titles: the file's name, "random ids" or "random features". */
const char *tokens_name(const TokenSource *s, bool ids);

#endif
