"""VoiceCraft SVC (so-vits-svc 5.0): any voice sings, by a flow between content and sound and a BigVGAN decoder."""
