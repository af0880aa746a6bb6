/* Words besides the ops that `btc explain` knows. */
#ifndef BTC_COMMANDS_WORDS_H
#define BTC_COMMANDS_WORDS_H

#include "commands.h"

/* The op that a function or sign of a map stands for ("max", ">", "min("), or NULL. */
const char *word_spelling(const char *word);
/* What serves for a word of other frameworks ("matmul"), or NULL. */
const char *word_serves(const char *word);
/* Prints what the word is; false: it is none. */
bool word_explain(Arena *a, const char *word);
/* Words, for who looks for one that is spelt nearly alike; how many. */
int word_list(const char **out, int room);

#endif
