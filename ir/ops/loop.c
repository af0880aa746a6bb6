/* The records of the loop level: name, attributes and meaning of every op of loop_ops.def, in one line each.
 *
 * The builder (loop.c) or the text sets types, so there is no `sig`; verify_loop.c checks operands and types,
 * interp_loop.c defines the meaning, and targets/llvm_emit.c writes the instructions. Rules for all of them:
 *   - min and max are `x < y ? x : y` and `x > y ? x : y`: the second operand wins when one is NaN;
 *   - comparisons with NaN are false, except `ne`;
 *   - a cast of a float to an integer truncates, saturates, and takes NaN to 0;
 *   - where the machine flushes denormals (Denormals in loop.h), arithmetic, comparisons and casts take them for zeros
 *     and never make one; neg, abs, select, bits, loads and stores keep them, min and max may;
 *   - stores of bf16 and f16 round to nearest even and keep NaN; stores of small integers keep the low bits;
 *   - integers wrap; a shift by the width or more, and a division by zero, are bugs of the lowering. */
#include "../loop.h"

#define DTYPE_WORDS "f32|f64|f16|bf16|i64|i32|i16|i8|u8|bool"
#define END_ATTRS                                                                                            \
    { 0 }

static const AttrDef const_attrs[] = {
    {"v", AT_FLOAT, true, 0, NULL, "the value; an integer for integer types"},
    END_ATTRS,
};
static const AttrDef access_attrs[] = {
    {"dt", AT_STR, true, 0, DTYPE_WORDS, "how the number lies in memory"},
    {"n", AT_INT, false, 0, NULL, "active lanes of a vector; 0: all"},
    END_ATTRS,
};
static const AttrDef prefetch_attrs[] = {
    {"dt", AT_STR, true, 0, DTYPE_WORDS, "element type that the index counts"},
    END_ATTRS,
};
static const AttrDef cmp_attrs[] = {
    {"pred", AT_STR, true, 0, "lt|le|eq|ne|gt|ge", "the relation; integers are signed"},
    END_ATTRS,
};
static const AttrDef cast_attrs[] = {
    {"to", AT_STR, true, 0, "f32|f64|i32|i64|bool", "element type of the result"},
    END_ATTRS,
};
static const AttrDef reduce_attrs[] = {
    {"kind", AT_STR, true, 0, "add|max", "how two halves are combined"},
    END_ATTRS,
};
static const AttrDef for_attrs[] = {
    {"step", AT_INT, false, 1, NULL, "added after each turn; positive"},
    END_ATTRS,
};
static const AttrDef invoke_attrs[] = {
    {"func", AT_STR, true, 0, "", "name of the loop function"},
    END_ATTRS,
};

#define DEF(id, text, the_attrs, the_flags, the_doc, the_formula)                                            \
    const OpDef op_loop_##id = {.name = text,                                                                \
                                .level = LEVEL_LOOP,                                                         \
                                .pattern = PAT_LOOP,                                                         \
                                .doc = the_doc,                                                              \
                                .formula = the_formula,                                                      \
                                .attrs = the_attrs,                                                          \
                                .flags = the_flags};

DEF(const, "const", const_attrs, 0, "A scalar constant.", "v")
DEF(splat, "splat", NULL, 0, "A vector of one value.", "out[l] = x")
DEF(iota, "iota", NULL, 0, "The number of each lane, as i32.", "out[l] = l")
DEF(add, "add", NULL, OPF_COMMUTES, "Sum.", "x + y")
DEF(sub, "sub", NULL, 0, "Difference.", "x - y")
DEF(mul, "mul", NULL, OPF_COMMUTES, "Product.", "x * y")
DEF(div, "div", NULL, 0, "Quotient; integers are signed and truncate.", "x / y")
DEF(rem, "rem", NULL, 0, "Remainder of integers, with the sign of x.", "x - y*trunc(x/y)")
DEF(min, "min", NULL, 0, "The smaller; y when one is NaN.", "x < y ? x : y")
DEF(max, "max", NULL, 0, "The larger; y when one is NaN.", "x > y ? x : y")
DEF(and, "and", NULL, OPF_COMMUTES, "Bitwise and of integers or bools.", "x & y")
DEF(or, "or", NULL, OPF_COMMUTES, "Bitwise or of integers or bools.", "x | y")
DEF(xor, "xor", NULL, OPF_COMMUTES, "Bitwise exclusive or of integers or bools.", "x ^ y")
DEF(shl, "shl", NULL, 0, "Shift to the left.", "x << y")
DEF(shr, "shr", NULL, 0, "Logical shift to the right.", "unsigned(x) >> y")
DEF(fma, "fma", NULL, OPF_COMMUTES, "Product and sum, rounded once where the target can.", "x*y + z")
DEF(dot4, "dot4", NULL, 0, "Four products of unsigned with signed bytes, added to an i32; wraps.",
    "acc + sum_j<4 u8(x, j) * s8(y, j)")
DEF(dot2, "dot2", NULL, 0,
    "Two products of bf16 numbers, the upper ones first, added with one rounding each; denormals count as 0.",
    "fma(lo(x), lo(y), fma(hi(x), hi(y), acc))")
DEF(pair, "pair", NULL, 0,
    "Two f32 rounded to bf16, ties to even, in an i32: x below, y above; denormals become 0.",
    "bf16(x) | bf16(y) << 16")
DEF(lookup, "lookup", NULL, 0,
    "Each byte becomes the byte of the table, of the same four lanes, whose number its low four bits are.",
    "out[16g + j] = table[16g + x[16g + j] % 16], bytes")
DEF(zip_low, "zip.low", NULL, 0, "Bytes of two vectors by turns, of the first half of every four lanes.",
    "out[16g + 2j] = x[16g + j], out[16g + 2j + 1] = y[16g + j], bytes, j < 8")
DEF(zip_high, "zip.high", NULL, 0, "Bytes of two vectors by turns, of the second half of every four lanes.",
    "out[16g + 2j] = x[16g + 8 + j], out[16g + 2j + 1] = y[16g + 8 + j], bytes, j < 8")
DEF(neg, "neg", NULL, 0, "Negation; flips the sign bit of a float.", "-x")
DEF(abs, "abs", NULL, 0, "Absolute value.", "|x|")
DEF(sqrt, "sqrt", NULL, 0, "Square root, correctly rounded.", "sqrt(x)")
DEF(floor, "floor", NULL, 0, "The largest whole number not above x.", "floor(x)")
DEF(round, "round", NULL, 0, "The nearest whole number, ties to even.", "round(x)")
DEF(scale, "scale", NULL, 0,
    "A power of two times x, rounded once. f32; |x| in 1/2 .. 2, n whole in -250 .. 250, or NaN.", "x * 2^n")
DEF(exp, "exp", NULL, 0, "Exponential; expanded before a target sees it.", "e^x")
DEF(exp2, "exp2", NULL, 0, "Power of two; expanded before a target sees it.", "2^x")
DEF(log, "log", NULL, 0, "Natural logarithm; expanded before a target sees it.", "ln(x)")
DEF(log1p, "log1p", NULL, 0, "Logarithm near one; expanded before a target sees it.", "ln(1+x)")
DEF(sin, "sin", NULL, 0, "Sine of radians; expanded before a target sees it.", "sin(x)")
DEF(cos, "cos", NULL, 0, "Cosine of radians; expanded before a target sees it.", "cos(x)")
DEF(tanh, "tanh", NULL, 0, "Hyperbolic tangent; expanded before a target sees it.", "tanh(x)")
DEF(erf, "erf", NULL, 0, "Error function; expanded before a target sees it.",
    "2/sqrt(pi) * integral of e^(-u*u) from 0 to x")
DEF(softplus, "softplus", NULL, 0, "Smooth max(x, 0); expanded before a target sees it.", "ln(1 + e^x)")
DEF(cmp, "cmp", cmp_attrs, 0, "Comparison.", "x pred y")
DEF(select, "select", NULL, 0, "Choice by a condition, lane by lane.", "c ? x : y")
DEF(cast, "cast", cast_attrs, 0, "Conversion of numbers; floats saturate to integers, NaN gives 0.", "to(x)")
DEF(bits, "bits", cast_attrs, 0, "The same bits under another type of equal width.", "bits of x")
DEF(reduce, "reduce", reduce_attrs, 0, "All lanes into one: halves are combined until one is left.",
    "v[l] = v[l] op v[l + n/2]; n = n/2")
DEF(offset, "offset", NULL, 0, "An address some bytes further.", "ptr + bytes")
DEF(loadp, "loadp", NULL, 0, "An entry of a table of addresses.", "((void **)ptr)[index]")
DEF(load, "load", access_attrs, 0, "Reads a scalar or consecutive lanes; inactive lanes are 0.",
    "out[l] = ((dt *)ptr)[index + l]")
DEF(store, "store", access_attrs, OPF_EFFECT, "Writes a scalar or the active consecutive lanes.",
    "((dt *)ptr)[index + l] = v[l]")
DEF(prefetch, "prefetch", prefetch_attrs, OPF_EFFECT, "Hints that memory will be read soon.", "")
DEF(var, "var", NULL, 0, "A variable with its first value.", "")
DEF(get, "get", NULL, 0, "The value of a variable now.", "")
DEF(set, "set", NULL, OPF_EFFECT, "Gives a variable another value.", "")
DEF(for, "for", for_attrs, OPF_EFFECT, "Counts i from lo while i < hi.", "for (i = lo; i < hi; i += step)")
DEF(if, "if", NULL, OPF_EFFECT, "Runs one of two blocks.", "if (c) body else other")
DEF(invoke, "invoke", invoke_attrs, OPF_EFFECT, "Runs another loop function.", "func(args)")
DEF(barrier, "barrier", NULL, OPF_EFFECT, "All threads of the call meet.", "")
DEF(clock, "clock", NULL, OPF_EFFECT, "Ticks of a steady clock of the machine; 0 in the interpreter.", "")

OpId loop_op_id(const OpDef *def) {
#define LOOP_OP(id)                                                                                          \
    if (def == &op_loop_##id) return OP_loop_##id;
#include "../loop_ops.def"
#undef LOOP_OP
    return OP_COUNT;
}
