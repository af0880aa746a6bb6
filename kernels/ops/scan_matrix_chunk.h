/* The chunked form of scan.matrix in two files: what enters the products of tokens with tokens, and those products
 * (scan_matrix_tokens.c); what they do to values and to the state (scan_matrix_chunked.c). */
#ifndef BTC_OPS_SCAN_MATRIX_CHUNK_H
#define BTC_OPS_SCAN_MATRIX_CHUNK_H

#include "scan_matrix.h"

/* Decays up to where each row of a matrix reads or writes: their sums, and the exponentials of these. */
typedef struct RowDecays {
    Value *sums;   /* f64 */
    Value *factor; /* f32 */
} RowDecays;

/* A row is a write of a token, token after token, or a read: the first of them for k, v, a, b; the second for q and y. */
typedef struct Chunked {
    Lower *l;
    Op *op;
    MatrixShape s;
    int64_t Q;          /* tokens of a sub-chunk */
    int64_t WL, NL, PL; /* writes of a sub-chunk, keys, values: in whole vectors */
    int rows, cols;     /* of a tile; cols: vectors */
    bool shared;        /* heads share q and k, and so their products */
    bool along;         /* corrections go along the keys: what is corrected is one with what is written */
    bool apart;         /* or along b */
    bool blocks;        /* decays per channel that may be as strong as they like */
    /* scratch */
    Mat V, U, Y;        /* [rows][PL]; V: with the corrections in it, where they go along the keys */
    Mat qk, qb, ak, ab; /* Gxy, [rows][WL] */
    Mat products;       /* q . k of all tokens of the chunk, before decay and mask */
    Mat kT, bT;         /* [n][WL] */
    Mat k_out, b_out;   /* [rows][NL]: what enters the state */
    Mat q_scaled, a_scaled;
    Mat q_rows, k_rows, a_rows, b_rows; /* [rows][NL], where a token has several */
    Mat keep;                           /* blocks: exp(decay), [Q][NL] */
    Mat q_block, a_block;               /* rows of a block, decayed from its beginning */
    Value *block_end;                   /* [NL]: the decay of a block */
    Value *sums;                        /* f64 [Q+1]: b_(t-1) */
    Value *decays;                      /* [Q+1]: exp(b_(t-1)) */
    Value *to_end;                      /* [Q]: exp(b_end - b_t) */
    Value *end;                         /* [NL]: exp(b_end), per channel */
    RowDecays row_q, row_a, row_w; /* of reads, of what corrections read, of writes (factor: to the end) */
    /* the sub-chunk at hand */
    Value *u, *row, *len, *writes, *reads, *zero; /* len: tokens */
    Mat q, k, v, a, b, decay;                     /* from its first token on */
    Mat S;                                        /* [n][p] */
} Chunked;

/* Whether decays per channel go into the factors of all products at once: x exp(b) and y exp(-b). */
bool scan_matrix_bounded(const MatrixShape *s, const Op *op, int64_t tokens);
/* Scratch for a sub-chunk's products. */
void scan_matrix_tokens_new(Chunked *c);
/* Head u, tokens from `row` on. */
void scan_matrix_sub_chunk(Chunked *c, Value *u, Value *row);
/* q . k of a group of heads for all tokens of the chunk, when the first of its heads comes by. */
void scan_matrix_products_of_group(Chunked *c, Value *u);
/* Everything that values and state meet: V, qk to ab, k_out, b_out, q_scaled, a_scaled, the decays. */
void scan_matrix_products(Chunked *c);

#endif
