/* Where a program starts: hands main and the stack to the C library, as the psABI asks. Programs are linked
 * without crt1.o, so that no C toolchain is needed for the target. */
    .text
    .globl _start
    .hidden main
    .type _start, %function
_start:
    mv a5, a0                   /* rtld_fini */
    ld a1, 0(sp)                /* argc */
    addi a2, sp, 8              /* argv */
    andi sp, sp, -16
    mv a6, sp                   /* stack_end */
    li a3, 0                    /* no init */
    li a4, 0                    /* no fini */
    lla a0, main
    call __libc_start_main@plt
    ebreak
    .size _start, . - _start
    .section .note.GNU-stack, "", %progbits
