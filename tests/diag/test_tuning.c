/* Bad tuning files: each is refused by a message that says where and why, and nothing is made.
 *     test_tuning [BTC [CONFORMANCE]] */
#include "edit.h"

#define MACHINE "\"machine\": { \"target\": \"x86_64-linux-gnu\", \"cpu\": \"x86-64-v3\", \"lanes\": 8 }"
#define FILE_OF(numbers) "{ \"btc_tuning\": 1, " MACHINE ", \"numbers\": " numbers " }"

typedef struct BadTuning {
    const char *title, *text, *where, *what;
} BadTuning;

static const BadTuning BAD[] = {
    {"an empty file", "", "t.json:1", "the text ends too early"},
    {"broken JSON", "{ \"btc_tuning\": 1, }", "t.json:1:", "not valid JSON"},
    {"a list", "[1]", "t.json:1:1: error: ", "must be an object, got a list"},
    {"another file of btc", "{ \"btc\": 1 }", "t.json:1:1: error: ", "the key \"btc_tuning\" is missing"},
    {"a later format", "{ \"btc_tuning\": 2 }", "t.json:1:17: error: btc_tuning: ", "version 1, got 2"},
    {"no machine", "{ \"btc_tuning\": 1, \"numbers\": {} }", "t.json:1:1: error: ", "\"machine\" is missing"},
    {"no numbers", "{ \"btc_tuning\": 1, " MACHINE " }", "t.json:1:1: error: ", "\"numbers\" is missing"},
    {"a machine without a CPU",
     "{ \"btc_tuning\": 1, \"machine\": { \"target\": \"x86_64-linux-gnu\", \"lanes\": 8 }, \"numbers\": {} "
     "}",
     "t.json:1:31: error: machine: ", "\"cpu\" is missing"},
    {"a machine with a typo",
     "{ \"btc_tuning\": 1, \"machine\": { \"target\": \"x\", \"cpuu\": \"y\", \"lanes\": 8 }, \"numbers\": "
     "{} }",
     "t.json:1:", "did you mean \"cpu\"?"},
    {"a CPU that is a number",
     "{ \"btc_tuning\": 1, \"machine\": { \"target\": \"x\", \"cpu\": 3, \"lanes\": 8 }, \"numbers\": {} }",
     "t.json:1:", "machine.cpu: must be a string, got the number 3"},
    {"an unknown key", "{ \"btc_tuning\": 1, " MACHINE ", \"number\": {} }",
     "t.json:1:", "unknown key \"number\" (did you mean \"numbers\"?)"},
    {"an unknown number", FILE_OF("{ \"tile_row\": 4 }"),
     "t.json:1:", "numbers.tile_row: there is no such parameter (did you mean \"tile_rows\"?)"},
    {"a number twice", FILE_OF("{ \"streams\": 4, \"streams\": 2 }"), "t.json:1:", "is given twice"},
    {"a number below its range", FILE_OF("{ \"streams\": 0 }"),
     "t.json:1:", "numbers.streams: must be a whole number from 1 to "},
    {"a number above its range", FILE_OF("{ \"streams\": 1e9 }"), "t.json:1:", "numbers.streams: must be"},
    {"half a number", FILE_OF("{ \"streams\": 2.5 }"), "t.json:1:", "got the number 2.5"},
    {"a number that is a string", FILE_OF("{ \"streams\": \"2\" }"), "t.json:1:", "got the string \"2\""},
    {"numbers in a list", FILE_OF("[128]"), "t.json:1:", "numbers: must be an object, got a list"},
    {"another CPU",
     "{ \"btc_tuning\": 1, \"machine\": { \"target\": \"x86_64-linux-gnu\", \"cpu\": \"znver4\", \"lanes\": "
     "16 }, "
     "\"numbers\": {} }",
     "t.json: error: ", "is for x86_64-linux-gnu, znver4 with vectors of 16, not for"},
};

int main(int argc, char **argv) {
    if (!kit_begin(argc, argv)) return 2;
    if (have_case("hf-llama")) {
        const char *args = "m -o out/x.so --target=x86_64-linux-gnu --cpu=x86-64-v3 --tuning=t.json";
        golden_begin("tuning");
        fresh_copy("hf-llama");
        for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
            write_bytes("t.json", BAD[i].text, strlen(BAD[i].text));
            check_refused(BAD[i].title, args, run_btc(args), 1, BAD[i].where, BAD[i].what);
        }
        const char *former = FILE_OF("{ \"barrier_kib\": 64 }");
        write_bytes("t.json", former, strlen(former));
        Ran r = run_btc(args);
        CHECK(r.status == 0);
        CHECK_STR_CONTAINS(r.err, "warning: numbers.barrier_kib: this parameter no longer exists");
        unlink("out/x.so"), unlink("t.json");
        check_refused("a tuning file that is not there", args, run_btc(args), 1, "t.json: error: ", NULL);
        check_refused("an unknown number to tune", "tune m --rows=steams -o out/t.json",
                      run_btc("tune m --rows=steams -o out/t.json"), 1, "btc: error: --rows",
                      "did you mean \"streams\"?");
        golden_end();
    }
    return kit_end("tuning");
}
