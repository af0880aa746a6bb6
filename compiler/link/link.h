/* Linking: objects -> artefact. All files are made in a temporary folder beside the output and moved to their names
 * at the end, so an output is whole or absent. The linker is lld as a child process; the target needs no sysroot
 * and no C toolchain. */
#ifndef BTC_LINK_LINK_H
#define BTC_LINK_LINK_H

#include "artifact_spec.h"

typedef enum LinkKind { LINK_SHARED, LINK_ARCHIVE, LINK_OBJECT, LINK_PROGRAM, LINK_HEADER } LinkKind;

/* What a file name asks for: .so .a .o .h, or a program when the base name has no dot. false: none of them.
 */
bool link_kind(const char *output, LinkKind *kind);

/* A folder for intermediate files, beside `output`: weights do not fit everywhere, and a rename must do. */
typedef struct LinkFolder {
    char *path;
} LinkFolder;
bool link_folder_open(Diag *d, Arena *a, const char *output, LinkFolder *f);
void link_folder_remove(LinkFolder *f); /* with all its files; may be called again */

typedef struct LinkJob {
    const char *output;
    LinkKind kind;
    const TargetInfo *target;
    const char *const *objects; /* files with the emitted code */
    int object_count;
    const char *const *exports; /* further symbols of the objects that a .so exports */
    int export_count;
    const ArtifactSpec *spec; /* .weights_in_file: also writes <output>.weights */
    bool threads;             /* with OpenMP */
    const char *linker;       /* NULL: ld.lld-19 or ld.lld on PATH */
} LinkJob;

/* Makes the artefact (for LINK_HEADER: only the header). */
bool link_artifact(Diag *d, const LinkJob *job);

/* The parts, each in its own file. */

/* elf_fill.c: a linked file, an object, or an archive with one object at its end, whose section of weights has
 * no bytes yet. */
typedef struct ElfFill {
    char *bytes;      /* of the file, with headers that are right for the filled one */
    uint64_t base;    /* where the object begins in an archive; else 0 */
    uint64_t cut;     /* so many of the bytes stand before the weights */
    uint64_t moved;   /* how far the others move back */
    uint64_t weights; /* where the weights begin in the filled file; 0: there are none */
    uint64_t size;    /* of the filled file */
} ElfFill;
/* output: what messages call it. */
bool elf_fill_open(Diag *d, Arena *a, const char *file, const char *section, const char *output, ElfFill *f);
bool elf_fill_write(const ElfFill *f, const ArtifactSpec *s, OutFile *o);

/* spawn.c: runs a program in a folder (NULL: here) and waits. argv[0] is looked up on PATH; argv ends with
 * NULL. *output gets what it printed. Returns its exit status; -1: it cannot be started (errno), -2: it was
 * killed by a signal. */
int spawn_and_wait(Arena *a, const char *folder, const char *const *argv, char **output);

#endif
