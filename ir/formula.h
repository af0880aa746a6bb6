/* Formulas: elementwise arithmetic as an attribute of an op, which applies it inside its loops (scan.cell). The text is
 * in postfix notation, words separated by blanks: names, numbers, elementwise ops (which take as many numbers as they
 * have operands), and `=name`, which names the result. A name stands for the latest result of that name.
 *
 *     f sigmoid c mul i sigmoid g tanh mul add =c o sigmoid c tanh mul =y         c = sigmoid(f) c + sigmoid(i) tanh(g)
 *                                                                                y = sigmoid(o) tanh(c)
 * Descriptions write formulas as maps (compiler/desc/formula.c). */
#ifndef BTC_FORMULA_H
#define BTC_FORMULA_H

#include "op.h"

enum { FORMULA_OPERANDS = 3 };

typedef struct FormulaNode {
    const OpDef *op; /* NULL: an input, or a number */
    int input;       /* its index, or -1 */
    double number;
    int in[FORMULA_OPERANDS]; /* earlier nodes */
} FormulaNode;

typedef struct Formula {
    FormulaNode *nodes;
    int n, cap;
    int *out; /* the node of each output */
} Formula;

/* The function of this name, or NULL (ops/elementwise.c). */
const OpDef *elementwise_find(const char *name);
/* NULL, or what is wrong. */
const char *formula_read(Arena *a, const char *text, const char *const *inputs, int nin,
                         const char *const *outputs, int nout, Formula *f);
/* Its values over vectors of n numbers: in[input], out[output]. */
void formula_eval(const Formula *f, Arena *scratch, int64_t n, double *const *in, double *const *out,
                  int nout);
/* The words of a text between blanks; how many. */
int split_words(Arena *a, const char *text, const char ***out);

#endif
