/* The model description (docs/description.md) as an IR module, and its weights checked against the file.
 *
 * desc.c       the file as a whole: dims, blocks, layers, output
 * statement.c  one statement: op, map or split
 * scope.c      names of values while a function is read
 * block.c      blocks and the layers that call them
 * expr.c       what stands inside strings: sizes ("2*E"), weights ("@w[2*E, D]"), lex.h is their cursor
 * map.c        elementwise arithmetic inside strings ("x + silu(z)*y")
 * check.c      the weights of every layer against the checkpoint
 * json.c jsonpos.c print.c  JSON in and out;  schema.c  the JSON Schema for editors
 *
 * The module: `main` takes `tokens` (i32[T]) or `input` (f32[T,W]) and has one result, "logits" or "output";
 * one function per block that a layer uses; one `call` per layer. Module attributes: kind ("lm", "features"),
 * vocab or width, context, text, bos, eos (an integer, or a list of them), ignore (patterns, separated
 * by blanks), transposed (names of states, likewise), and expose.<name> = the name of a value of main. */
#ifndef BTC_DESC_H
#define BTC_DESC_H

#include "ir.h"
#include "weights/weights.h"

/* Opens the weight files that the description names, relative to its folder. */
bool desc_open_weights(Diag *d, Arena *a, const char *file, const char *text, size_t size, WeightSet *out);

/* The description `text` as a module in `a`. weights: gives the shapes of weights written without brackets;
 * NULL: they are errors. file: the text's name, for messages and for the default name of the model.
 * NULL: messages are filed. */
Module *desc_load(Diag *d, Arena *a, const char *file, const char *text, size_t size,
                  const WeightSet *weights);

/* Every weight of every layer is in the set with the right shape and a float type, and every tensor of the
 * set is used (and marked so) or matched by `ignore`. */
bool desc_check_weights(Diag *d, Arena *a, const Module *m, WeightSet *weights);

/* The JSON Schema (draft 2020-12) of descriptions, from the table of ops. */
char *desc_schema(Arena *a);

#endif
