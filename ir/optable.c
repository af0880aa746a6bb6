/* The op table: ops.def expanded, and look-up by name. */
#include "op.h"

#include <string.h>

const OpDef *const OP_TABLE[OP_COUNT] = {
#define OP(id) &op_##id,
#include "ops.def"
#undef OP
};

OpId op_id(const OpDef *def) {
    int i = 0;
    while (OP_TABLE[i] != def) i++;
    return (OpId)i;
}

/* Model and loop level share some names ("add"); the model's op is meant unless it says otherwise, because
 * the rows of the model level come first in ops.def. Text knows the level of its function: parse.c. */
const OpDef *op_find(const char *name) {
    for (int i = 0; i < OP_COUNT; i++)
        if (!strcmp(OP_TABLE[i]->name, name)) return OP_TABLE[i];
    return NULL;
}

const char *op_did_you_mean(Arena *a, const char *name, Level level) {
    const char *names[OP_COUNT];
    int n = 0;
    for (int i = 0; i < OP_COUNT; i++)
        if (OP_TABLE[i]->level == level && !(OP_TABLE[i]->flags & OPF_INTERNAL))
            names[n++] = OP_TABLE[i]->name;
    return diag_did_you_mean(a, name, names, n);
}
