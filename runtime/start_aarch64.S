/* Where a program starts: hands main and the stack to the C library, as the psABI asks. Programs are linked
 * without crt1.o, so that no C toolchain is needed for the target. */
    .text
    .globl _start
    .hidden main
    .type _start, %function
_start:
    mov x29, #0
    mov x30, #0
    mov x5, x0                  /* rtld_fini */
    ldr x1, [sp]                /* argc */
    add x2, sp, #8              /* argv */
    mov x6, sp                  /* stack_end */
    mov x3, #0                  /* no init */
    mov x4, #0                  /* no fini */
    adrp x0, main
    add x0, x0, :lo12:main
    bl __libc_start_main
    brk #0
    .size _start, . - _start
    .section .note.GNU-stack, "", %progbits
