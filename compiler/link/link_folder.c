#include <errno.h>
#include <string.h>

#include "base/file.h"
#include "base/temp.h"
#include "link.h"

bool link_folder_open(Diag *d, Arena *a, const char *output, LinkFolder *f) {
    f->path = file_temp_pattern(a, output);
    if (temp_folder(f->path)) return true;
    f->path = NULL;
    return diag_error(d, (Loc){.file = output}, "cannot write: %s", strerror(errno));
}

void link_folder_remove(LinkFolder *f) {
    if (f->path) temp_folder_remove(f->path);
    f->path = NULL;
}
