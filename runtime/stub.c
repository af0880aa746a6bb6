/* A shared library without contents: the symbols that artefacts take from it. The linker takes the library's name
 * and the symbols' existence from it. Compiled once for each library, with LIBRARY as its name in
 * libc_symbols.def. */
#define FUNC(name)                                                                                           \
    void name(void) {}
#define DATA(name) void *name;

#define IN_c_c(definition) definition
#define IN_c_m(definition)
#define IN_c_gomp(definition)
#define IN_m_c(definition)
#define IN_m_m(definition) definition
#define IN_m_gomp(definition)
#define IN_gomp_c(definition)
#define IN_gomp_m(definition)
#define IN_gomp_gomp(definition) definition
#define PASTE(one, other, definition) IN_##one##_##other(definition)
#define IN(one, other, definition) PASTE(one, other, definition)
#define SYMBOL(library, name, kind, user) IN(LIBRARY, library, kind(name))
#include "libc_symbols.def"
