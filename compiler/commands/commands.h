/* The commands of btc: one file each, one row in commands.def. */
#ifndef BTC_COMMANDS_H
#define BTC_COMMANDS_H

#include "compile.h"

/* argv[0] is the command; returns the exit status. */
#define COMMAND(id, doc) int command_##id(int argc, char **argv);
#include "commands.def"
#undef COMMAND

/* What they are called (commands.c), and how they begin (table.c): rows in the same order. */
typedef struct CommandName {
    const char *name, *doc;
} CommandName;
extern const CommandName COMMANDS[];
extern const int COMMAND_COUNT;
int command_run(int command, int argc, char **argv);

/* Options that several commands share (commands.c). */
typedef struct Args {
    CompileOptions compile;
    ModelOptions model;
    const char *input; /* the model */
} Args;
/* What a whole number of the command line counts, and so how large it may be (commands.c). */
typedef enum Counts {
    COUNTS_CHUNK,   /* tokens of a chunk: as in a tuning file */
    COUNTS_BATCH,   /* sequences of a step */
    COUNTS_THREADS, /* as many as the runtime takes */
    COUNTS_TOKENS,  /* to run */
    COUNTS_PAST,    /* tokens that were there before, none too */
    COUNTS_REPEATS,
    COUNTS_ORDER, /* states of a distilled filter */
    COUNTS_KINDS
} Counts;
/* One row per option of a command. */
typedef struct Option {
    const char *name; /* "chunk" for --chunk=N; "o" for -o FILE */
    const char *arg;  /* "N", NULL: a switch */
    const char *doc;
    void *to; /* const char **, int *, or bool * */
    enum { OPT_STR, OPT_INT, OPT_ON, OPT_OFF } kind;
    int counts; /* OPT_INT: a Counts */
} Option;
/* Rows of a command, with the end. */
enum { MAX_OPTIONS = 64 };
/* Parses argv by the rows (ending with a NULL name) into their targets; the one free argument goes to *input
 * (NULL: none allowed). Returns -1 to go on, else the exit status (0 after --help). */
int parse_options(int argc, char **argv, const char *usage, const Option *options, const char **input);
/* The rows of the options that compile and the inspecting commands share, written into out; returns how many.
 */
int shared_options(Args *a, Option *out);
/* Takes the row of that name out of rows[n]; returns how many are left. */
int drop_option(Option *rows, int n, const char *name);
/* The beginning of a command: the rows `own` (ending with a NULL name) come behind rows[n], argv is parsed by
 * all of them, and d gets an arena of its own and messages on stderr. Returns as parse_options. */
int command_begin(int argc, char **argv, const char *usage, Option *rows, int n, const Option *own,
                  const char **input, Diag *d);
/* The end: frees the arena of d; the exit status. */
int command_end(Diag *d, bool ok);
/* Whether a value was given for the row of an option without a default. */
bool option_given(const Option *o);
/* "1,2,8" into out[n], at most `room` numbers. Errors name the option. */
bool parse_ints(Diag *d, const char *option, Counts counts, const char *text, int room, int *out, int *n);
/* Text from column `at`, where the cursor is, broken at blanks, and a line's end. */
enum { PRINT_WIDTH = 100 };
void print_wrapped(int at, const char *text);

#endif
