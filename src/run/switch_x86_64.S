/*
 * switch_to for x86-64, System V ABI: rbx, rbp, r12 to r15 and the stack pointer belong
 * to the callee. The floating point control words do too, but nothing here changes them.
 */
	.text
	.globl	switch_to
	.hidden	switch_to
	.type	switch_to, @function
	.p2align 4
switch_to:
	.cfi_startproc
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, (%rdi)
	movq	(%rsi), %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	ret
	.cfi_endproc
	.size	switch_to, . - switch_to
	.section .note.GNU-stack, "", @progbits
