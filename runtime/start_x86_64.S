/* Where a program starts: hands main and the stack to the C library, as the psABI asks. Programs are linked
 * without crt1.o, so that no C toolchain is needed for the target. */
    .text
    .globl _start
    .hidden main
    .type _start, @function
_start:
    xorl %ebp, %ebp
    movq %rdx, %r9              /* rtld_fini */
    popq %rsi                   /* argc */
    movq %rsp, %rdx             /* argv */
    andq $-16, %rsp
    pushq %rax
    pushq %rsp                  /* stack_end */
    xorl %r8d, %r8d             /* no fini */
    xorl %ecx, %ecx             /* no init */
    leaq main(%rip), %rdi
    call *__libc_start_main@GOTPCREL(%rip)
    hlt
    .size _start, . - _start
    .section .note.GNU-stack, "", @progbits
