#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "link.h"

bool link_folder_open(Diag *d, Arena *a, const char *output, LinkFolder *f) {
    f->path = arena_printf(a, "%s.tmp-XXXXXX", output);
    if (mkdtemp(f->path)) return true;
    f->path = NULL;
    return diag_error(d, (Loc){.file = output}, "cannot write: %s", strerror(errno));
}

void link_folder_remove(LinkFolder *f) {
    if (!f->path) return;
    DIR *dir = opendir(f->path);
    if (dir) {
        for (struct dirent *e; (e = readdir(dir));)
            if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
                unlinkat(dirfd(dir), e->d_name, 0); /* only files are ever put here */
        closedir(dir);
    }
    rmdir(f->path);
    f->path = NULL;
}
