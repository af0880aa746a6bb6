/* See distance.h: the restricted Damerau-Levenshtein distance, by rows of its table. */
#include "distance.h"

#include <string.h>

enum { LONGEST = 127, FAR = 1000 };

static int lower(char c) {
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

static int least(int x, int y) {
    return x < y ? x : y;
}

int word_distance(const char *a, const char *b) {
    int na = (int)strlen(a), nb = (int)strlen(b);
    if (na > LONGEST || nb > LONGEST) return strcmp(a, b) ? FAR : 0;
    int rows[3][LONGEST + 1], *last = rows[0], *row = rows[1], *next = rows[2];
    for (int j = 0; j <= nb; j++) row[j] = j;
    for (int i = 1; i <= na; i++) {
        next[0] = i;
        for (int j = 1; j <= nb; j++) {
            next[j] =
                least(row[j - 1] + (lower(a[i - 1]) != lower(b[j - 1])), least(row[j], next[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                next[j] = least(next[j], last[j - 2] + 1);
        }
        int *spare = last;
        last = row, row = next, next = spare;
    }
    return row[nb];
}
