/* Processors of a process. A control group (cgroups(7)) may give it less time than its affinity allows: a number
 * of microseconds in each period, for all threads together. The group of the process and every group around it
 * can set a limit. proc/self/mountinfo tells where groups are mounted, proc/self/cgroup the group of the process.
 * A limit that cannot be read or makes no sense is ignored. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* syscall */
#endif
#include "processors.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LINE = 4096, PATH = 3 * LINE, WORDS = 64, MASK_BYTES = 8192 /* 65,536 processors */ };

static int allowed_processors(void) {
    unsigned long mask[MASK_BYTES / sizeof(unsigned long)];
    long bytes = syscall(SYS_sched_getaffinity, 0, sizeof mask, mask);
    int n = 0;
    for (size_t i = 0; bytes > 0 && i < (size_t)bytes / sizeof *mask; i++)
        for (unsigned long m = mask[i]; m; m &= m - 1) n++;
    return n > 0 ? n : 1;
}

/* The next line without its end; one that is too long comes out empty. */
static bool next_line(FILE *f, char line[LINE]) {
    int n = 0, c;
    while ((c = getc(f)) != EOF && c != '\n') {
        if (n < LINE) line[n] = (char)c;
        n++;
    }
    line[n < LINE ? n : 0] = 0;
    return c != EOF || n > 0;
}

/* A file in a group's folder, or NULL. */
static FILE *open_in(const char *root, const char *mount, const char *group, const char *name) {
    char path[PATH];
    int n = snprintf(path, sizeof path, "%s%s%s/%s", root, mount, group, name);
    return n > 0 && n < PATH ? fopen(path, "r") : NULL;
}

/* Cuts a line into words at `between`; returns how many. */
static int words(char *line, char between, char *word[WORDS]) {
    int n = 0;
    for (char *p = line; p && n < WORDS; n++) {
        word[n] = p;
        if ((p = strchr(p, between))) *p++ = 0;
    }
    return n;
}

static bool holds(char *list, const char *wanted) {
    char *word[WORDS];
    int n = words(list, ',', word);
    while (n > 0 && strcmp(word[n - 1], wanted)) n--;
    return n > 0;
}

/* Blanks and their kin stand in mountinfo as a backslash and three octal digits. */
static void decode(char *text) {
    char *to = text;
    for (const char *p = text; *p; to++) {
        bool octal = *p == '\\';
        for (int i = 1; octal && i <= 3; i++) octal = p[i] >= '0' && p[i] <= '7';
        *to = octal ? (char)((p[1] & 3) << 6 | (p[2] & 7) << 3 | (p[3] & 7)) : *p;
        p += octal ? 4 : 1;
    }
    *to = 0;
}

/* A number from 1 on at the start of text, *end behind it; 0: there is none. */
static long long number(const char *text, char **end) {
    errno = 0;
    long long v = strtoll(text, end, 10);
    return *end == text || errno || v < 1 ? 0 : v;
}

/* The quota that a group's folder says; 0: none. */
static double quota_in(const char *root, const char *mount, const char *group, bool unified) {
    char line[LINE], *end;
    FILE *f = open_in(root, mount, group, unified ? "cpu.max" : "cpu.cfs_quota_us");
    if (!f) return 0;
    long long quota = next_line(f, line) ? number(line, &end) : 0, period = 0;
    fclose(f);
    if (quota && unified) {
        period = number(end, &end); /* "150000 100000", or "max 100000" */
    } else if (quota && (f = open_in(root, mount, group, "cpu.cfs_period_us"))) {
        period = next_line(f, line) ? number(line, &end) : 0;
        fclose(f);
    }
    return quota && period ? (double)quota / (double)period : 0;
}

/* The least quota of the group and of those around it, up to where the hierarchy is mounted. */
static double least_quota(const char *root, const char *mount, char *group, bool unified) {
    double least = 0;
    for (char *last = group; last;) {
        double q = quota_in(root, mount, group, unified);
        if (q > 0 && (least == 0 || q < least)) least = q;
        last = strrchr(group, '/');
        if (last) *last = 0;
    }
    return least;
}

/* The process's own group in a hierarchy, "" at its top. */
static bool own_group(const char *root, bool unified, char group[LINE]) {
    char line[LINE], *word[WORDS];
    FILE *f = open_in(root, "/proc", "/self", "cgroup");
    bool found = false;
    while (f && !found && next_line(f, line)) {
        char *path = strchr(line, ':');
        path = path ? strchr(path + 1, ':') : NULL; /* a path may hold colons itself */
        if (!path) continue;
        *path++ = 0;
        if (words(line, ':', word) < 2) continue;
        found = unified ? !strcmp(word[0], "0") && !*word[1] : holds(word[1], "cpu");
        if (found) snprintf(group, LINE, "%s", strcmp(path, "/") ? path : "");
    }
    if (f) fclose(f);
    return found;
}

double group_quota(const char *root) {
    char line[LINE], group[LINE], *word[WORDS], *end;
    double least = 0;
    FILE *f = open_in(root, "/proc", "/self", "mountinfo");
    while (f && next_line(f, line)) {
        int n = words(line, ' ', word), dash = 6;
        while (dash < n && strcmp(word[dash], "-")) dash++;
        if (dash + 3 >= n) continue;
        bool unified = !strcmp(word[dash + 1], "cgroup2");
        if (!unified && (strcmp(word[dash + 1], "cgroup") || !holds(word[dash + 3], "cpu"))) continue;
        if (!own_group(root, unified, group)) continue;
        decode(word[3]), decode(word[4]);
        /* what is mounted may be a group below the top, and ours seen from there */
        size_t top = strcmp(word[3], "/") ? strlen(word[3]) : 0;
        bool below = !strncmp(group, word[3], top) && (group[top] == '/' || !group[top]);
        end = group + (below ? top : strlen(group));
        double q = least_quota(root, word[4], end, unified);
        if (q > 0 && (least == 0 || q < least)) least = q;
    }
    if (f) fclose(f);
    return least;
}

int quota_threads(double quota) {
    return quota < 1.5 ? 1 : quota > MASK_BYTES * 8 ? MASK_BYTES * 8 : (int)(quota + 0.5);
}

int usable_processors(void) {
    int allowed = allowed_processors();
    double quota = group_quota("");
    int given = quota > 0 ? quota_threads(quota) : allowed;
    return given < allowed ? given : allowed;
}
