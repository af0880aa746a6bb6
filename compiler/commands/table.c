/* The functions of the commands. Only main needs them, so that commands may list each other by name. */
#include "commands.h"

int command_run(int command, int argc, char **argv) {
    static int (*const run[])(int, char **) = {
#define COMMAND(id, doc) command_##id,
#include "commands.def"
#undef COMMAND
    };
    return run[command](argc, argv);
}
