/* btc schema: the JSON Schema of descriptions, for editors. docs/btc-model.schema.json is its output. */
#include <string.h>

#include "commands.h"
#include "desc/desc.h"

static const char USAGE[] =
    "btc schema [-o FILE]: the JSON Schema of model descriptions, for editors that complete and check\n"
    "\n"
    "  Put the file beside a description and begin that with \"$schema\": \"btc-model.schema.json\".\n";

int command_schema(int argc, char **argv) {
    const char *output = NULL;
    const Option options[] = {{"o", "FILE", "where to (default: stdout)", &output, OPT_STR, 0}, {0}};
    int status = parse_options(argc, argv, USAGE, options, NULL);
    if (status >= 0) return status;
    Arena *a = arena_new();
    Diag d = diag_new(a, stderr);
    const char *text = desc_schema(a);
    bool ok = write_text(&d, a, output, text, strlen(text));
    arena_free(a);
    return diag_status(&d, ok);
}
